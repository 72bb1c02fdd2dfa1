using System.Text;
using System.Text.Json.Nodes;
using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Integration.Capture;
using CdcOrleans.Integration.Storage;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Integration.Grains;

/// <summary>Truncations, messages, transactions, tables without a key, and tables that come and go, through the whole pipeline.</summary>
public sealed class OddChangesTests(ControlServer control, CaptureServer sources) : IClassFixture<CaptureServer>
{
    [Fact]
    public async Task A_truncation_stands_between_before_and_after_in_every_partition()
    {
        await using var cluster = await InProcessCluster.Start(
            control, sources.Server, 2, "CREATE TABLE item (id int PRIMARY KEY, n int NOT NULL)",
            s => s with { Events = new EventOptions { Skip = SkippedOperations.None } });
        await cluster.Streaming();
        await PostgresServer.Execute(cluster.Source, "INSERT INTO item SELECT i, 0 FROM generate_series(1, 500) AS i");
        await PostgresServer.Execute(cluster.Source, "BEGIN; UPDATE item SET n = 1; TRUNCATE item; INSERT INTO item SELECT i, 2 FROM generate_series(1, 100) AS i; COMMIT");
        await cluster.Arrived(500 + 500 + 1 + 100);

        var events = cluster.Delivered.Select(d => (Op: Field(d.Event.Value, "op"), d.Event.Version)).ToList();
        var truncated = Assert.Single(events, e => e.Op == "t");
        var place = events.IndexOf(truncated);
        Assert.All(events[..place], e => Assert.True(e.Version < truncated.Version));
        Assert.All(events[(place + 1)..], e => Assert.True(e.Version > truncated.Version));

        Assert.Equal("""{"id":7,"n":2}""", (await State(cluster, "public.item/7"))?.Row);
        Assert.Null(await State(cluster, "public.item/400"));
        await PostgresServer.Execute(cluster.Source, "UPDATE item SET n = 3 WHERE id = 7");
        await cluster.Arrived(1102);
        Assert.Equal("""{"id":7,"n":2}""", JsonNode.Parse(cluster.Delivered.Last().Event.Value!)!["before"]!.ToJsonString());
    }

    [Fact]
    public async Task An_update_that_is_too_large_with_both_rows_has_only_what_the_log_has()
    {
        await using var cluster = await InProcessCluster.Start(
            control, sources.Server, 1, "CREATE TABLE item (id int PRIMARY KEY, n int NOT NULL, body text); ALTER TABLE item ALTER body SET STORAGE EXTERNAL");
        cluster.LargestEvent = 1_000_000;
        await cluster.Streaming();
        await PostgresServer.Execute(cluster.Source, "INSERT INTO item VALUES (1, 0, repeat('x', 640000)), (2, 0, repeat('y', 64000))");
        await PostgresServer.Execute(cluster.Source, "UPDATE item SET n = 1; DELETE FROM item");
        await cluster.Arrived(6);
        var large = cluster.Delivered.Where(d => d.Event.Entity.Key == "1").Select(d => d.Event.Value).ToList();
        Assert.Equal(["c", "u", "d"], large.Where(v => v is not null).Select(v => Field(v, "op")));
        Assert.All(large, v => Assert.InRange(v?.Length ?? 0, 0, 1_000_000));
        var update = JsonNode.Parse(large[1]!)!;
        Assert.Null(update["before"]);
        Assert.Equal("""{"id":1,"n":1,"body":"__debezium_unavailable_value"}""", update["after"]!.ToJsonString());

        // The next change has the whole row again: only the event was made smaller.
        Assert.Equal(640_000, JsonNode.Parse(large[2]!)!["before"]!["body"]!.GetValue<string>().Length);
        var small = JsonNode.Parse(cluster.Delivered.Where(d => d.Event.Entity.Key == "2").ElementAt(1).Event.Value!)!;
        Assert.Equal(64_000, small["before"]!["body"]!.GetValue<string>().Length);
        Assert.Equal(64_000, small["after"]!["body"]!.GetValue<string>().Length);
    }

    [Fact]
    public async Task A_skipped_truncation_empties_the_entities_all_the_same()
    {
        await using var cluster = await InProcessCluster.Start(control, sources.Server, 1, "CREATE TABLE item (id int PRIMARY KEY)");
        await cluster.Streaming();
        await PostgresServer.Execute(cluster.Source, "INSERT INTO item VALUES (1)");
        await cluster.Arrived(1);
        await PostgresServer.Execute(cluster.Source, "TRUNCATE item; INSERT INTO item VALUES (2)");
        await cluster.Arrived(2);
        Assert.Equal(["c", "c"], cluster.Delivered.Select(d => Field(d.Event.Value, "op")));
        Assert.Null(await State(cluster, "public.item/1"));
        Assert.NotNull(await State(cluster, "public.item/2"));
    }

    [Fact]
    public async Task Messages_heartbeats_and_transactions_arrive_in_order_on_topics_of_their_own()
    {
        await using var cluster = await InProcessCluster.Start(
            control, sources.Server, 1, "CREATE TABLE item (id int PRIMARY KEY)",
            s => s with { Transactions = true, HeartbeatEvents = true, HeartbeatInterval = TimeSpan.FromMilliseconds(500) });
        await cluster.Streaming();
        for (var i = 1; i <= 20; i++)
        {
            await PostgresServer.Execute(
                cluster.Source, $"BEGIN; INSERT INTO item VALUES ({i}); SELECT pg_logical_emit_message(true, 'note', '{i}'); COMMIT; SELECT pg_logical_emit_message(false, 'outside', '{i}')");
        }

        await InProcessCluster.Until(
            () => Task.FromResult(Of(cluster, "shop.transaction").Count >= 40 && Of(cluster, "shop.message").Count >= 40 && Of(cluster, "__debezium-heartbeat.shop").Count >= 2),
            "all events");
        Assert.Equal(Enumerable.Repeat((string[])["BEGIN", "END"], 20).SelectMany(s => s), Of(cluster, "shop.transaction").Select(v => v["status"]!.GetValue<string>()));
        foreach (var prefix in (string[])["note", "outside"])
        {
            Assert.Equal(
                Enumerable.Range(1, 20).Select(i => $"{i}"),
                Of(cluster, "shop.message").Select(v => v["message"]!).Where(m => m["prefix"]!.GetValue<string>() == prefix)
                    .Select(m => Encoding.UTF8.GetString(Convert.FromBase64String(m["content"]!.GetValue<string>()))));
        }

        Assert.All(Of(cluster, "shop.public.item"), v => Assert.Equal(1, v["transaction"]!["total_order"]!.GetValue<int>()));
        var reader = cluster.Cluster.Client.GetGrain<IWalReaderGrain>("shop");
        await InProcessCluster.Until(async () => (await reader.GetStatus()).WindowChanges == 0, "everything to be durable");
    }

    [Fact]
    public async Task A_table_without_a_key_keeps_its_order_and_one_that_appears_later_joins()
    {
        await using var cluster = await InProcessCluster.Start(
            control, sources.Server, 2, "CREATE TABLE log (n int, note text); ALTER TABLE log REPLICA IDENTITY FULL");
        await cluster.Streaming();
        await PostgresServer.Execute(cluster.Source, "INSERT INTO log SELECT i, 'x' FROM generate_series(1, 50) AS i");
        await PostgresServer.Execute(cluster.Source, "UPDATE log SET note = 'y' WHERE n <= 10; DELETE FROM log WHERE n > 40");
        await cluster.Arrived(70);
        var log = cluster.Delivered.ToList();
        Assert.All(log, d => Assert.Null(d.Event.Key));
        Assert.Single(log.Select(d => d.Silo).Distinct());
        Assert.Equal(log.Select(d => d.Event.Version).Order(), log.Select(d => d.Event.Version));
        Assert.Equal("""{"n":1,"note":"x"}""", JsonNode.Parse(log[50].Event.Value!)!["before"]!.ToJsonString());

        await PostgresServer.Execute(cluster.Source, "CREATE TABLE later (id int PRIMARY KEY)");
        await InProcessCluster.Until(
            async () => await PostgresServer.Scalar(cluster.Source, "SELECT count(*) FROM pg_publication_tables WHERE tablename = 'later'") == "1", "the table to join");
        await PostgresServer.Execute(cluster.Source, "INSERT INTO later VALUES (1)");
        await cluster.Arrived(71);
        Assert.Equal("shop.public.later", cluster.Delivered.Last().Event.Topic);
    }

    [Fact]
    public async Task A_row_that_moves_to_another_key_takes_its_large_values_along()
    {
        await using var cluster = await InProcessCluster.Start(
            control, sources.Server, 2, "CREATE TABLE doc (id int PRIMARY KEY, n int, body text); ALTER TABLE doc ALTER body SET STORAGE EXTERNAL");
        await cluster.Streaming();
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc SELECT i, 0, repeat(i::text, 5000) FROM generate_series(1, 20) AS i");
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET id = id + 100");
        await PostgresServer.Execute(cluster.Source, "BEGIN; UPDATE doc SET n = 1; UPDATE doc SET id = id + 100; UPDATE doc SET id = id + 100, n = 2; COMMIT");
        await cluster.Arrived(20 + 40 + 20 + 40 + 40);

        foreach (var i in Enumerable.Range(1, 20))
        {
            var body = string.Concat(Enumerable.Repeat($"{i}", 5000));
            Assert.Equal($$"""{"id":{{300 + i}},"n":2,"body":"{{body}}"}""", (await State(cluster, $"public.doc/{300 + i}"))?.Row);
        }

        Assert.DoesNotContain(cluster.Delivered, d => d.Event.Value is { } value && Encoding.UTF8.GetString(value).Contains("unavailable", StringComparison.Ordinal));
    }

    private static Task<EntityView?> State(InProcessCluster cluster, string key) => cluster.Cluster.Client.GetGrain<IEntityGrain>($"shop/{key}").GetState().AsTask();

    private static List<JsonNode> Of(InProcessCluster cluster, string topic) =>
        [.. cluster.Delivered.Where(d => d.Event.Topic == topic).Select(d => JsonNode.Parse(d.Event.Value!)!)];

    private static string? Field(byte[]? value, string name) => value is null ? null : JsonNode.Parse(value)![name]!.GetValue<string>();
}
