using System.Text;
using System.Text.Json.Nodes;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Integration.Storage;
using CdcOrleans.Model.Changes;
using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Integration.Grains;

/// <summary>A streaming standby is promoted and takes the address of its primary.</summary>
public sealed class FailoverTests(ControlServer control, NewerPostgres newer) : IClassFixture<NewerPostgres>
{
    private const string Schema = """
        CREATE TABLE doc (id int PRIMARY KEY, n int, body text);
        ALTER TABLE doc ALTER body SET STORAGE EXTERNAL;
        CREATE SCHEMA other; CREATE TABLE other.noise (n text);
        """;

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task A_standby_that_lacks_delivered_changes_is_refused_until_a_person_accepts_it(bool isNewer, bool readerRestarts)
    {
        await using var primary = await newer.Start(isNewer);
        await using var standby = await primary.Standby();
        await using var cluster = await InProcessCluster.Start(control, primary, 1, Schema);
        await cluster.Streaming();
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc VALUES (1, 0, repeat('x', 5000))");
        await cluster.Arrived(1);
        await Replayed(primary, standby);
        await standby.Stop();

        // The standby never gets this.
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 1, body = repeat('y', 5000)");
        await Grow(cluster.Source, 1);
        await cluster.Arrived(2);
        var end = Lsn.Parse((await PostgresServer.Scalar(cluster.Source, "SELECT pg_current_wal_flush_lsn()::text"))!);
        await InProcessCluster.Until(async () => await Confirmed(cluster) >= end, "everything to be confirmed");
        var slot = await PostgresServer.Scalar(cluster.Source, "SELECT slot_name FROM pg_replication_slots WHERE database = current_database()");
        var database = cluster.Source.Replace($"Port={primary.Port}", $"Port={standby.Port}", StringComparison.Ordinal);
        if (readerRestarts)
            await cluster.Cluster.StopAllSilosAsync();
        await primary.Stop("immediate");
        await standby.StartAgain();
        await standby.Promote();

        // As a person does who wants to continue: the slot is created again. What is written then is at positions that were confirmed.
        await PostgresServer.Execute(database, $"SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')");
        await PostgresServer.Execute(database, "UPDATE doc SET n = 7");
        var early = Lsn.Parse((await PostgresServer.Scalar(database, "SELECT pg_current_wal_flush_lsn()::text"))!);
        await Grow(database, 2);
        var grown = Lsn.Parse((await PostgresServer.Scalar(database, "SELECT pg_current_wal_flush_lsn()::text"))!);
        Assert.True(early < end && grown > end, $"The slot must begin before what was confirmed, and the log must have grown past it: {early}, {end}, {grown}.");
        await standby.TakeAddress(primary);

        await using var again = readerRestarts ? await cluster.StartBeside() : null;
        var now = again ?? cluster;
        var before = now.Delivered.Count;
        var reader = now.Cluster.Client.GetGrain<IWalReaderGrain>("shop");
        var detail = await Failure(reader);
        Assert.Contains("sources.shop.postgres.slot: the server is on timeline 2, whose log left timeline 1 at 0/", detail, StringComparison.Ordinal);
        Assert.Contains("a standby was promoted that did not have the last changes", detail, StringComparison.Ordinal);
        Assert.Contains("cdc.accept_gap('shop')", detail, StringComparison.Ordinal);
        Assert.Equal(before, now.Delivered.Count);
        Assert.Equal("1", await now.Control.Scalar("SELECT timeline FROM cdc.sources"));

        // The change is at a lower position than the stored row, and completed from nothing that the new primary never had.
        await now.Control.Scalar("SELECT cdc.accept_gap('shop')");
        await InProcessCluster.Until(() => Task.FromResult(now.Delivered.Count > before), "the change that the new primary has");
        var change = Value(now);
        Assert.Null(change["before"]);
        Assert.Equal(7, change["after"]!["n"]!.GetValue<int>());
        Assert.Equal("__debezium_unavailable_value", change["after"]!["body"]!.GetValue<string>());
        Assert.True(now.Delivered.Last().Event.Version.CommitLsn < end);

        // Up to the position at which the source started again, what was done to the rows is not known. After that, it is.
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 8");
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 9");
        await InProcessCluster.Until(() => Task.FromResult(Value(now)["after"]!["n"]!.GetValue<int>() == 9), "the last change");
        Assert.Equal(8, Value(now)["before"]!["n"]!.GetValue<int>());
        Assert.Equal("2", await now.Control.Scalar("SELECT timeline FROM cdc.sources WHERE timeline_begin > 0"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task After_a_promotion_without_loss_the_source_goes_on_by_itself(bool isNewer)
    {
        await using var primary = await newer.Start(isNewer);
        if (isNewer)
            await PostgresServer.Execute(primary.Connection(), "SELECT pg_create_physical_replication_slot('standby')");
        await using var standby = await primary.Standby(isNewer ? ["sync_replication_slots=on", "primary_slot_name='standby'"] : []);
        await using var cluster = await InProcessCluster.Start(control, primary, 1, Schema);
        await cluster.Streaming();
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc VALUES (1, 0, repeat('x', 5000))");
        await cluster.Arrived(1);
        var slot = await PostgresServer.Scalar(cluster.Source, "SELECT slot_name FROM pg_replication_slots WHERE database = current_database()");

        // From version 17 on, the standby has the slot too, because it was made for that. Before, tools copy it.
        if (isNewer)
        {
            await InProcessCluster.Until(
                async () =>
                {
                    await PostgresServer.Execute(cluster.Source, "INSERT INTO other.noise VALUES ('x')");
                    return await PostgresServer.Scalar(standby.Connection(), $"SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{slot}' AND NOT temporary") == "1";
                },
                "the standby to have the slot");
        }

        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 1");
        await cluster.Arrived(2);
        await Replayed(primary, standby);
        await primary.Stop();
        if (!isNewer)
        {
            await standby.Stop();
            await standby.TakeSlot(primary, slot!);
            await standby.StartAgain();
        }

        await standby.Promote();
        await standby.TakeAddress(primary);
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 2");
        await cluster.Arrived(3);
        Assert.Equal(1, Value(cluster)["before"]!["n"]!.GetValue<int>());
        Assert.Equal(new string('x', 5000), Value(cluster)["after"]!["body"]!.GetValue<string>());
        Assert.Equal("2", await cluster.Control.Scalar("SELECT timeline FROM cdc.sources WHERE timeline_begin > 0"));
    }

    // Other failures may come first: the server that had the address may not have been ready.
    private static async Task<string> Failure(IWalReaderGrain reader)
    {
        for (var deadline = DateTime.UtcNow.AddSeconds(60); ; await Task.Delay(50, TestContext.Current.CancellationToken))
        {
            var status = await reader.GetStatus();
            if (status is { State: SourceState.Failed, Detail: { } detail } && detail.Contains("timeline", StringComparison.Ordinal))
                return detail;
            Assert.True(DateTime.UtcNow < deadline, $"The other timeline is not reported; the source is {status.State}: {status.Detail}");
        }
    }

    private static Task Replayed(PostgresServer primary, PostgresServer standby) => InProcessCluster.Until(
        async () =>
        {
            var end = await PostgresServer.Scalar(primary.Connection(), "SELECT pg_current_wal_flush_lsn()::text");
            return await PostgresServer.Scalar(standby.Connection(), $"SELECT (pg_last_wal_replay_lsn() >= '{end}')::text") is "true" or "True";
        },
        "the standby to have everything");

    // Some megabytes of log that are not captured.
    private static Task Grow(string database, int times) => PostgresServer.Execute(
        database, $"INSERT INTO other.noise SELECT repeat(md5(i::text), 10) FROM generate_series(1, {20_000 * times}) AS i");

    private static async Task<Lsn> Confirmed(InProcessCluster cluster) =>
        new(ulong.Parse((await cluster.Control.Scalar("SELECT confirmed_lsn FROM cdc.sources"))!, System.Globalization.CultureInfo.InvariantCulture));

    private static JsonNode Value(InProcessCluster cluster) => JsonNode.Parse(Encoding.UTF8.GetString(cluster.Delivered.Last().Event.Value!))!;
}
