using System.Globalization;
using System.Text;
using System.Text.Json;
using CdcOrleans.Grains.Interfaces.Operations;
using CdcOrleans.Grains.Interfaces.Replays;
using CdcOrleans.Integration.Capture;
using CdcOrleans.Integration.Storage;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Retries;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Testing;
using Npgsql;
using Xunit;

namespace CdcOrleans.Integration.Grains;

/// <summary>Replays of stored rows to one sink, through the grains that the API asks.</summary>
public sealed class ReplayTests(ControlServer control, CaptureServer sources) : IClassFixture<CaptureServer>
{
    private const string Schema = "CREATE TABLE doc (id int PRIMARY KEY, n int, t text); CREATE TABLE note (id int PRIMARY KEY, n int)";

    [Fact]
    public async Task Every_row_is_sent_once_to_the_sink_alone_as_a_marked_read()
    {
        await using var cluster = await Start();
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc SELECT i, i FROM generate_series(1, 300) AS i; DELETE FROM doc WHERE id > 250");
        await Delivered(cluster, "collected", 350);
        await Delivered(cluster, "other", 350);
        cluster.Delivered.Clear();

        var replay = await Done(cluster, await Ok(cluster, new ReplayOrder("shop", "other", ["public.doc"], null, 2000)));
        var table = Assert.Single(replay.Tables);
        Assert.Equal((250, 0, 0, 0), (table.Sent, table.WithoutRow, table.Parked, table.Refused));
        Assert.True(table.IsDone && table.RowsDone == table.Sent + table.Absent);
        Assert.All(cluster.Delivered, d => Assert.Equal(("other", EventOrigin.Replay), (d.Sink, d.Event.Origin)));
        Assert.Equal(Enumerable.Range(1, 250), cluster.Delivered.Select(d => int.Parse(d.Event.Entity.Key, CultureInfo.InvariantCulture)).Order());
        Assert.All(cluster.Delivered, d => Assert.Equal(("r", "true"), (Op(d.Event), Value(d.Event).GetProperty("source").GetProperty("snapshot").GetString())));
        var entry = Assert.Single(await cluster.Cluster.Client.GetGrain<IOperationsGrain>(IOperationsGrain.Key).ListAudit(0, 10));
        Assert.Equal(("me", "start replay", $"replay {replay.Id}"), (entry.Who, entry.Operation, entry.Result));
    }

    [Fact]
    public async Task While_rows_change_the_versions_of_an_entity_never_step_back_and_the_last_event_is_the_newest_row()
    {
        await using var cluster = await Start(silos: 2);
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc SELECT i, 0 FROM generate_series(1, 500) AS i");
        await Delivered(cluster, "other", 500);
        cluster.Delivered.Clear();

        using var stop = new CancellationTokenSource();
        var load = Load(cluster.Source, stop.Token);
        for (var i = 0; i < 3; i++)
            await Done(cluster, await Ok(cluster, new ReplayOrder("shop", "other", ["public.*"], null, 20_000)));
        await stop.CancelAsync();
        await load;
        await PostgresServer.Execute(cluster.Source, "INSERT INTO note VALUES (1, 1)");
        await InProcessCluster.Until(() => Task.FromResult(cluster.Delivered.Any(d => d.Sink == "other" && d.Event.Entity.Table == "public.note")), "the end of the load");
        await CaughtUp(cluster);

        var events = cluster.Delivered.Where(d => d.Sink == "other" && d.Event.Entity.Table == "public.doc").Select(d => d.Event).ToList();
        Assert.True(events.Count(e => e.Origin == EventOrigin.Replay) >= 1200);
        Assert.True(events.Count(e => e.Origin == EventOrigin.Stream) > 100);
        await AssertNewest(cluster, events);
        Assert.DoesNotContain(cluster.Delivered, d => d.Sink == "collected" && d.Event.Origin == EventOrigin.Replay);
    }

    [Fact]
    public async Task A_replay_goes_on_where_it_was_when_its_silo_is_killed()
    {
        await using var cluster = await Start(silos: 2);
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc SELECT i, 0 FROM generate_series(1, 600) AS i");
        await Delivered(cluster, "other", 600);
        cluster.Delivered.Clear();
        var started = await Ok(cluster, new ReplayOrder("shop", "other", ["public.doc"], null, 200));
        await InProcessCluster.Until(async () => (await Get(cluster, started.Id)).Tables[0].RowsDone is > 100 and < 500, "some rows");
        var before = (await Get(cluster, started.Id)).Tables[0].RowsDone;
        await cluster.Cluster.KillSiloAsync(cluster.Cluster.Silos[0]);
        await Done(cluster, started);

        var keys = cluster.Delivered.Where(d => d.Event.Origin == EventOrigin.Replay).GroupBy(d => d.Event.Entity.Key).ToDictionary(g => g.Key, g => g.Count());
        Assert.Equal(600, keys.Count);

        // A slice of 50 rows may be sent again, by the silo or by a partition, and none of those that were done.
        Assert.InRange(keys.Values.Sum() - 600, 0, 200);
        Assert.Equal(600, (await Get(cluster, started.Id)).Tables[0].RowsDone);
        Assert.True(before > 0);
    }

    [Fact]
    public async Task A_replay_is_paused_resumed_and_cancelled()
    {
        await using var cluster = await Start();
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc SELECT i, 0 FROM generate_series(1, 300) AS i");
        await Delivered(cluster, "other", 300);
        cluster.Delivered.Clear();
        var started = await Ok(cluster, new ReplayOrder("shop", "other", ["public.doc"], null, 100));
        await InProcessCluster.Until(async () => (await Get(cluster, started.Id)).Tables[0].RowsDone > 0, "some rows");
        Assert.Null((await Replays(cluster).Decide(started.Id, ReplayVerb.Pause, "me"))!.Refusal);
        Assert.Contains("paused", (await Replays(cluster).Decide(started.Id, ReplayVerb.Pause, "me"))!.Refusal, StringComparison.Ordinal);
        long seen = -1;
        await InProcessCluster.Until(
            async () =>
            {
                var last = seen;
                seen = (await Get(cluster, started.Id)).Tables[0].RowsDone;
                await Task.Delay(500, TestContext.Current.CancellationToken);
                return seen == last;
            },
            "the pause");
        Assert.InRange(seen, 1, 299);
        var conflict = await Replays(cluster).Start(new ReplayOrder("shop", "other", ["public.doc"], ["1"], 100), "me");
        Assert.Equal(ReplayRefusal.Conflict, conflict.Refusal);
        Assert.Contains($"Replay {started.Id} of shop.public.doc to sink 'other' is paused", conflict.Detail, StringComparison.Ordinal);

        Assert.Null((await Replays(cluster).Decide(started.Id, ReplayVerb.Resume, "me"))!.Refusal);
        await InProcessCluster.Until(async () => (await Get(cluster, started.Id)).Tables[0].RowsDone > seen, "more rows");
        Assert.Null((await Replays(cluster).Decide(started.Id, ReplayVerb.Cancel, "me"))!.Refusal);
        Assert.Contains("cancelled", (await Replays(cluster).Decide(started.Id, ReplayVerb.Resume, "me"))!.Refusal, StringComparison.Ordinal);
        Assert.Null(await Replays(cluster).Decide(9999, ReplayVerb.Cancel, "me"));
        await Done(cluster, await Ok(cluster, new ReplayOrder("shop", "other", ["public.doc"], null, 20_000)));
        Assert.Equal(300, cluster.Delivered.Where(d => d.Event.Origin == EventOrigin.Replay).Select(d => d.Event.Entity.Key).Distinct().Count());
    }

    [Fact]
    public async Task Single_entities_and_a_table_with_another_shape_are_replayed()
    {
        await using var cluster = await Start();
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc SELECT i, i FROM generate_series(1, 20) AS i");
        await PostgresServer.Execute(cluster.Source, "ALTER TABLE doc DROP COLUMN n; ALTER TABLE doc ADD COLUMN m int DEFAULT 7; UPDATE doc SET t = 'x' WHERE id = 2");
        await Delivered(cluster, "other", 21);
        cluster.Delivered.Clear();
        var replay = await Done(cluster, await Ok(cluster, new ReplayOrder("shop", "other", ["public.doc"], ["2", "1", "77"], 100)));
        Assert.Equal((2, 1, 3), (replay.Tables[0].Sent, replay.Tables[0].Absent, replay.Tables[0].RowsDone));
        var byKey = cluster.Delivered.ToDictionary(d => d.Event.Entity.Key, d => Value(d.Event).GetProperty("after"));
        Assert.Equal(2, byKey.Count);
        Assert.Equal(1, byKey["1"].GetProperty("n").GetInt32());
        Assert.Equal((7, "x"), (byKey["2"].GetProperty("m").GetInt32(), byKey["2"].GetProperty("t").GetString()));
    }

    [Fact]
    public async Task Orders_that_cannot_be_carried_out_are_refused_with_the_reason()
    {
        await using var cluster = await Start(configure: s => s with
        {
            Tables = [new TableSelection { Pattern = "public.note", Entities = EntityMode.Version }, new TableSelection { Pattern = "public.*" }],
        });
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc VALUES (1, 1); INSERT INTO note VALUES (1, 1)");
        await Delivered(cluster, "collected", 2);
        await Refused(new ReplayOrder("shop", "other", ["public.dog"], null, 1), ReplayRefusal.UnknownTable, "'public.dog'", "'public.doc'");
        await Refused(new ReplayOrder("shop", "other", ["public.note"], null, 1), ReplayRefusal.NotReplayable, "entities: version");
        await Refused(new ReplayOrder("shop", "unrouted", ["public.doc"], null, 1), ReplayRefusal.NotReplayable, "No route leads from shop.public.doc to sink 'unrouted'");
        Assert.Empty(await Replays(cluster).List(0, 10));

        async Task Refused(ReplayOrder order, ReplayRefusal refusal, params string[] named)
        {
            var start = await Replays(cluster).Start(order, "me");
            Assert.Null(start.Replay);
            Assert.Equal(refusal, start.Refusal);
            Assert.All(named, n => Assert.Contains(n, start.Detail, StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task A_replay_whose_sink_is_not_configured_any_more_fails_with_the_reason()
    {
        await using var cluster = await Start();
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc SELECT i, i FROM generate_series(1, 100) AS i");
        await Delivered(cluster, "other", 100);
        var started = await Ok(cluster, new ReplayOrder("shop", "other", ["public.doc"], null, 10));
        await Replays(cluster).Decide(started.Id, ReplayVerb.Pause, "me");
        await using var beside = await cluster.StartBeside(c => c with { Routes = [c.Routes[0]] });
        await beside.Cluster.Client.GetGrain<IReplaysGrain>(IReplaysGrain.Key).Decide(started.Id, ReplayVerb.Resume, "me");
        await InProcessCluster.Until(async () => (await Get(cluster, started.Id)).State == "failed", "the failure");
        Assert.Contains("Sink 'other' is not configured any more", (await Get(cluster, started.Id)).Error, StringComparison.Ordinal);
        await Ok(cluster, new ReplayOrder("shop", "other", ["public.doc"], null, 10));
    }

    [Fact]
    public async Task What_a_sink_refuses_is_a_dead_letter_and_what_fails_for_now_is_parked_before_the_replay_is_done()
    {
        await using var cluster = await Start(new DeliveryPolicy { Inline = TimeSpan.Zero, Backoff = new RetryPolicy(TimeSpan.FromMilliseconds(200), TimeSpan.FromMilliseconds(200)) });
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc SELECT i, i FROM generate_series(1, 30) AS i");
        await Delivered(cluster, "other", 30);
        cluster.Delivered.Clear();
        cluster.Fails = (sink, made) => sink != "other" ? null : made.Entity.Key switch
        {
            "3" => DeliveryFailure.Refused("poison"),
            "5" => DeliveryFailure.OfEvent("not now"),
            _ => null,
        };
        var replay = await Done(cluster, await Ok(cluster, new ReplayOrder("shop", "other", ["public.doc"], null, 2000)));
        Assert.Equal((30, 1, 1), (replay.Tables[0].Sent, replay.Tables[0].Parked, replay.Tables[0].Refused));
        var operations = cluster.Cluster.Client.GetGrain<IOperationsGrain>(IOperationsGrain.Key);
        var letter = Assert.Single(await operations.ListLetters(new CdcOrleans.Model.Storage.LetterFilter(), 0, 10));
        Assert.Equal(("3", EventOrigin.Replay), (letter.Entity.Key, letter.Origin));
        Assert.Equal("5", Assert.Single(await operations.ListParked(new CdcOrleans.Model.Storage.LetterFilter(), 0, 10)).Entity.Key);

        // A change comes behind what is parked.
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 50 WHERE id = 5");
        await Delivered(cluster, "collected", 1);
        cluster.Fails = (_, _) => null;
        await InProcessCluster.Until(() => Task.FromResult(cluster.Delivered.Count(d => d.Sink == "other" && d.Event.Entity.Key == "5") == 2), "the parked events");
        Assert.Equal(["r", "u"], cluster.Delivered.Where(d => d.Sink == "other" && d.Event.Entity.Key == "5").Select(d => Op(d.Event)));
    }

    [Fact]
    public async Task A_replay_waits_while_its_sink_is_out_of_reach()
    {
        await using var cluster = await Start(new DeliveryPolicy { Inline = TimeSpan.Zero, Backoff = new RetryPolicy(TimeSpan.FromMilliseconds(200), TimeSpan.FromMilliseconds(200)) });
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc SELECT i, i FROM generate_series(1, 2000) AS i");
        await Delivered(cluster, "other", 2000);
        cluster.Delivered.Clear();
        cluster.Fails = (sink, _) => sink == "other" ? DeliveryFailure.OfSink("gone") : null;
        var started = await Ok(cluster, new ReplayOrder("shop", "other", ["public.doc"], null, 2000));
        await InProcessCluster.Until(async () => (await Get(cluster, started.Id)).Waiting?.Contains("out of reach: gone", StringComparison.Ordinal) == true, "the reason");
        Assert.Equal("running", (await Get(cluster, started.Id)).State);
        cluster.Fails = (_, _) => null;
        var done = await Done(cluster, started);
        Assert.InRange(done.Tables[0].Parked, 1, 1500);
        await InProcessCluster.Until(
            () => Task.FromResult(cluster.Delivered.Where(d => d.Sink == "other").Select(d => d.Event.Entity.Key).Distinct().Count() == 2000), "the parked rows");
    }

    [Fact]
    public async Task Truncated_rows_do_not_come_after_the_truncation()
    {
        await using var cluster = await Start(configure: s => s with { Events = s.Events with { Skip = SkippedOperations.None } });
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc SELECT i, i FROM generate_series(1, 3000) AS i");
        await Delivered(cluster, "other", 3000);
        cluster.Delivered.Clear();
        var started = await Ok(cluster, new ReplayOrder("shop", "other", ["public.doc"], null, 2000));
        await InProcessCluster.Until(() => Task.FromResult(cluster.Delivered.Any(d => d.Event.Origin == EventOrigin.Replay)), "some rows");
        await PostgresServer.Execute(cluster.Source, "TRUNCATE doc; INSERT INTO doc SELECT i, -i FROM generate_series(1, 10) AS i");
        await Done(cluster, started);
        await InProcessCluster.Until(() => Task.FromResult(cluster.Delivered.Count(d => d.Sink == "other" && Op(d.Event) == "c") == 10), "the new rows");
        Assert.True(cluster.Delivered.Count(d => d.Event.Origin == EventOrigin.Replay) < 3000);
        var after = cluster.Delivered.Where(d => d.Sink == "other").SkipWhile(d => Op(d.Event) != "t").Skip(1).ToList();
        Assert.All(after, d => Assert.True(Value(d.Event).GetProperty("after").GetProperty("n").GetInt32() < 0));
    }

    [Fact]
    public async Task A_truncation_waits_for_the_rows_that_a_replay_is_sending()
    {
        await using var cluster = await Start(
            new DeliveryPolicy { Inline = TimeSpan.FromMinutes(5) }, configure: s => s with { Events = s.Events with { Skip = SkippedOperations.None } });
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc SELECT i, i FROM generate_series(1, 50) AS i");
        await Delivered(cluster, "other", 50);
        cluster.Delivered.Clear();
        cluster.Holds = made => made.Origin == EventOrigin.Replay;
        var started = await Ok(cluster, new ReplayOrder("shop", "other", ["public.doc"], null, 20));
        await InProcessCluster.Until(() => Task.FromResult(cluster.Held > 0), "a row on its way");
        await PostgresServer.Execute(cluster.Source, "TRUNCATE doc");
        await InProcessCluster.Until(
            async () => (await cluster.Cluster.Client.GetGrain<CdcOrleans.Grains.Interfaces.Sources.IWalReaderGrain>("shop").GetStatus()).Detail?.Contains("rows that a replay is sending", StringComparison.Ordinal) == true,
            "the reader to wait");
        Assert.DoesNotContain(cluster.Delivered, d => Op(d.Event) == "t");
        cluster.Release();
        await InProcessCluster.Until(() => Task.FromResult(cluster.Delivered.Any(d => d.Sink == "other" && Op(d.Event) == "t")), "the truncation");
        var done = await Done(cluster, started);
        Assert.True(done.Tables[0].Sent < 50);
        Assert.Equal("t", Op(cluster.Delivered.Last(d => d.Sink == "other").Event));
    }

    private static async Task AssertNewest(InProcessCluster cluster, List<SinkEvent> events)
    {
        var newest = new Dictionary<string, int>();
        await using var source = NpgsqlDataSource.Create(cluster.Source);
        await using var command = source.CreateCommand("SELECT id::text, n FROM doc");
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
            newest.Add(reader.GetString(0), reader.GetInt32(1));
        foreach (var entity in events.GroupBy(e => e.Entity.Key))
        {
            var before = ChangeVersion.None;
            foreach (var made in entity.Where(e => e.Value is not null))
            {
                Assert.True(made.Version >= before, $"{entity.Key}: {made.Version} came after {before}.");
                before = made.Version;
            }

            var last = entity.Last(e => e.Value is not null);
            if (newest.TryGetValue(entity.Key, out var n))
                Assert.Equal(n, Value(last).GetProperty("after").GetProperty("n").GetInt32());
            else
                Assert.Equal("d", Op(last));
        }
    }

    private static async Task Load(string source, CancellationToken stop)
    {
        await using var connection = new NpgsqlConnection(source);
        await connection.OpenAsync(CancellationToken.None);
        for (var i = 1; !stop.IsCancellationRequested; i++)
        {
            var id = i % 23 == 0 ? 7 : i * 31 % 500;
            var text = (i % 7) switch
            {
                0 => $"DELETE FROM doc WHERE id = {id}",
                1 => $"INSERT INTO doc VALUES ({id}, {i}) ON CONFLICT (id) DO UPDATE SET n = {i}",
                _ => $"UPDATE doc SET n = {i} WHERE id IN ({id}, 7)",
            };
            await using var command = new NpgsqlCommand(text, connection);
            await command.ExecuteNonQueryAsync(CancellationToken.None);
        }
    }

    private static Task CaughtUp(InProcessCluster cluster) => InProcessCluster.Until(
        async () => (await cluster.Cluster.Client.GetGrain<CdcOrleans.Grains.Interfaces.Sources.IWalReaderGrain>("shop").GetStatus()).WindowChanges == 0, "the load to be durable");

    private Task<InProcessCluster> Start(DeliveryPolicy? policy = null, short silos = 1, Func<SourceConfiguration, SourceConfiguration>? configure = null) => StartNow(policy ?? DeliveryPolicy.Default, silos, configure);

    private async Task<InProcessCluster> StartNow(DeliveryPolicy policy, short silos, Func<SourceConfiguration, SourceConfiguration>? configure)
    {
        var cluster = await InProcessCluster.Start(control, sources.Server, silos, Schema, configure, pipeline: c => c with
        {
            Sinks = new[] { "collected", "other", "unrouted" }.ToDictionary(n => n, n => (SinkConfiguration)new InProcessCluster.CollectedConfiguration { Name = n }),
            Routes = [new RouteConfiguration { From = "shop.*", To = ["collected", "other"], Delivery = new Dictionary<string, DeliveryPolicy> { ["other"] = policy } }],
        });
        await cluster.Streaming();
        return cluster;
    }

    // They are durable then: what is not comes to the sink a second time.
    private static async Task Delivered(InProcessCluster cluster, string sink, int events)
    {
        await InProcessCluster.Until(
            () => Task.FromResult(cluster.Delivered.Where(d => d.Sink == sink && d.Event.Value is not null).Select(d => d.Event.Id).Distinct().Count() >= events), $"{events} events at {sink}");
        await CaughtUp(cluster);
    }

    private static IReplaysGrain Replays(InProcessCluster cluster) => cluster.Cluster.Client.GetGrain<IReplaysGrain>(IReplaysGrain.Key);

    private static async Task<ReplayView> Ok(InProcessCluster cluster, ReplayOrder order)
    {
        var start = await Replays(cluster).Start(order, "me");
        Assert.True(start.Detail is null, start.Detail);
        return start.Replay!;
    }

    private static async Task<ReplayView> Get(InProcessCluster cluster, long id) => (await Replays(cluster).Get(id))!;

    private static async Task<ReplayView> Done(InProcessCluster cluster, ReplayView started)
    {
        await InProcessCluster.Until(async () => (await Get(cluster, started.Id)).State is not ("running" or "paused"), "the replay");
        var replay = await Get(cluster, started.Id);
        Assert.True(replay.State == "done", $"{replay.State}: {replay.Error}");
        return replay;
    }

    private static JsonElement Value(SinkEvent made) => JsonElement.Parse(Encoding.UTF8.GetString(made.Value!)) is var value && value.TryGetProperty("payload", out var payload) ? payload : value;

    private static string? Op(SinkEvent made) => made.Value is null ? null : Value(made).GetProperty("op").GetString();
}
