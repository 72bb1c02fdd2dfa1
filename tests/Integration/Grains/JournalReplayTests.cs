using System.Text;
using System.Text.Json;
using CdcOrleans.Grains.Interfaces.Operations;
using CdcOrleans.Grains.Interfaces.Replays;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Integration.Capture;
using CdcOrleans.Integration.Storage;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Retries;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing;
using Npgsql;
using Xunit;

namespace CdcOrleans.Integration.Grains;

/// <summary>Replays of past changes from the journal to one sink, through the grains that the API asks.</summary>
public sealed class JournalReplayTests(ControlServer control, CaptureServer sources) : IClassFixture<CaptureServer>
{
    private const string Schema = "CREATE TABLE doc (id int PRIMARY KEY, n int, t text); CREATE TABLE note (id int PRIMARY KEY, n int)";

    private static readonly DeliveryPolicy Quick = new() { Inline = TimeSpan.Zero, Backoff = new RetryPolicy(TimeSpan.FromMilliseconds(200), TimeSpan.FromMilliseconds(200)) };

    [Theory]
    [InlineData(EntityMode.Row)]
    [InlineData(EntityMode.Version)]
    public async Task Every_past_change_comes_again_in_order_to_the_sink_alone_with_its_mark(EntityMode mode)
    {
        await using var cluster = await Start(mode: mode);
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc SELECT i, 0 FROM generate_series(1, 100) AS i");
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 1 WHERE id <= 50");
        await PostgresServer.Execute(cluster.Source, "DELETE FROM doc WHERE id <= 10");
        await Delivered(cluster, "collected", 160);
        await Delivered(cluster, "other", 160);
        var live = cluster.Delivered.Where(d => d.Sink == "other").Select(d => d.Event).ToList();
        cluster.Delivered.Clear();

        var replay = await Done(cluster, await Ok(cluster, Order()));
        var table = Assert.Single(replay.Tables);
        Assert.Equal((160, 160, 160, 0, 0, 0, 0), (table.RowsTotal, table.RowsDone, table.Sent, table.Absent, table.WithoutRow, table.Parked, table.Refused));
        Assert.All(cluster.Delivered, d => Assert.Equal(("other", EventOrigin.Replay), (d.Sink, d.Event.Origin)));
        var again = cluster.Delivered.Select(d => d.Event).ToList();
        foreach (var entity in live.GroupBy(e => e.Entity))
        {
            Assert.Equal(
                entity.Select(e => (e.Version, e.Part, Text(e))), again.Where(e => e.Entity == entity.Key).Select(e => (e.Version, e.Part, Text(e))));
        }

        var entry = Assert.Single(await cluster.Cluster.Client.GetGrain<IOperationsGrain>(IOperationsGrain.Key).ListAudit(0, 10));
        Assert.Equal(("start replay", $"replay {replay.Id}"), (entry.Operation, entry.Result));
        Assert.Contains("\"from\":\"journal\"", entry.Arguments, StringComparison.Ordinal);
    }

    [Fact]
    public async Task While_rows_change_an_entity_sends_its_changes_without_a_gap()
    {
        await using var cluster = await Start(silos: 2);
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc SELECT i, 0 FROM generate_series(1, 300) AS i");
        await Delivered(cluster, "other", 300);
        using var stop = new CancellationTokenSource();
        var load = Load(cluster.Source, stop.Token);
        for (var i = 0; i < 3; i++)
            await Done(cluster, await Ok(cluster, Order("public.*") with { Rate = 20_000 }));
        await stop.CancelAsync();
        await load;
        await PostgresServer.Execute(cluster.Source, "INSERT INTO note VALUES (1, 1)");
        await InProcessCluster.Until(() => Task.FromResult(cluster.Delivered.Any(d => d.Sink == "other" && d.Event.Entity.Table == "public.note")), "the end of the load");
        await CaughtUp(cluster);
        await Unparked(cluster);

        // What the sink without a replay got is what happened.
        var truth = Versions(cluster, "collected");
        var seen = Versions(cluster, "other");
        Assert.DoesNotContain(cluster.Delivered, d => d.Sink == "collected" && d.Event.Origin == EventOrigin.Replay);
        var restarts = 0;
        foreach (var (key, versions) in seen)
        {
            var place = -1;
            foreach (var version in versions)
            {
                var at = truth[key].IndexOf(version);
                Assert.True(at == place + 1 || at == 0, $"{key}: {version} is change {at}, and change {place} was before.");
                if (at == 0 && place >= 0)
                    restarts++;
                place = at;
            }

            Assert.Equal(truth[key].Count - 1, place);
        }

        Assert.InRange(restarts, 900, 900 + 300);
    }

    [Fact]
    public async Task A_replay_goes_on_when_its_silo_is_killed()
    {
        await using var cluster = await Start(silos: 2);
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc SELECT i, 0 FROM generate_series(1, 400) AS i");
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 1");
        await Delivered(cluster, "other", 800);
        cluster.Delivered.Clear();
        var started = await Ok(cluster, Order() with { Rate = 300 });
        await InProcessCluster.Until(async () => (await Get(cluster, started.Id)).Tables[0].RowsDone is > 100 and < 700, "some changes");
        await cluster.Cluster.KillSiloAsync(cluster.Cluster.Silos[0]);
        await Done(cluster, started);
        await Unparked(cluster);
        var seen = Versions(cluster, "other");
        Assert.Equal(400, seen.Count);
        Assert.All(seen.Values, v => Assert.True(v.Distinct().Count() == 2 && v[^1] == v.Max()));
    }

    [Fact]
    public async Task A_window_is_sent_with_the_last_change_of_each_entity_and_keys_select_entities()
    {
        await using var cluster = await Start();
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc SELECT i, 0 FROM generate_series(1, 3) AS i");
        var since = await Lsn(cluster);
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 1 WHERE id < 3");
        var until = await Lsn(cluster);
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 2 WHERE id = 1");
        await PostgresServer.Execute(cluster.Source, "DELETE FROM doc WHERE id = 3");
        await Delivered(cluster, "other", 7);
        cluster.Delivered.Clear();
        var window = new JournalWindow { SinceLsn = since, UntilLsn = until };
        var replay = await Done(cluster, await Ok(cluster, Order() with { Journal = window }));
        Assert.Equal((2, 3), (replay.Tables[0].RowsTotal, replay.Tables[0].Sent));
        Assert.Equal((since, until), (replay.Journal!.SinceLsn, replay.Journal.UntilLsn));
        Assert.Equal(["1:1", "1:2", "2:1"], cluster.Delivered.OrderBy(d => d.Event.Entity.Key, StringComparer.Ordinal).Select(d => $"{d.Event.Entity.Key}:{N(d.Event)}"));

        cluster.Delivered.Clear();
        replay = await Done(cluster, await Ok(cluster, Order() with { Keys = ["1", "77"] }));
        Assert.Equal((3, 3, 1), (replay.Tables[0].RowsTotal, replay.Tables[0].Sent, replay.Tables[0].Absent));
        Assert.Equal([0, 1, 2], cluster.Delivered.Select(d => N(d.Event)));
    }

    [Fact]
    public async Task What_the_sink_does_not_take_is_parked_or_a_dead_letter_and_later_changes_follow()
    {
        await using var cluster = await Start(Quick);
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc SELECT i, 0 FROM generate_series(1, 30) AS i");
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 1");
        await Delivered(cluster, "other", 60);
        cluster.Delivered.Clear();
        cluster.Fails = (sink, made) => sink != "other" ? null : made.Entity.Key switch
        {
            "3" when made.Value is not null && N(made) == 0 => DeliveryFailure.Refused("poison"),
            "5" => DeliveryFailure.OfEvent("not now"),
            _ => null,
        };
        var replay = await Done(cluster, await Ok(cluster, Order()));
        Assert.Equal((60, 2, 1), (replay.Tables[0].Sent, replay.Tables[0].Parked, replay.Tables[0].Refused));
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 2 WHERE id = 5");
        await Delivered(cluster, "collected", 1);
        cluster.Fails = (_, _) => null;
        await Unparked(cluster);
        Assert.Equal([0, 1, 2], cluster.Delivered.Where(d => d.Sink == "other" && d.Event.Entity.Key == "5").Select(d => N(d.Event)));
        Assert.Equal([1], cluster.Delivered.Where(d => d.Sink == "other" && d.Event.Entity.Key == "3").Select(d => N(d.Event)));
        Assert.Equal(
            [EventOrigin.Replay, EventOrigin.Replay, EventOrigin.Redelivery],
            cluster.Delivered.Where(d => d.Sink == "other" && d.Event.Entity.Key == "5").Select(d => d.Event.Origin));
    }

    [Fact]
    public async Task An_order_without_a_journal_is_refused()
    {
        await using var cluster = await Start(journal: false);
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc VALUES (1, 1)");
        await Delivered(cluster, "collected", 1);
        var start = await Replays(cluster).Start(Order(), "me");
        Assert.Equal(ReplayRefusal.NotReplayable, start.Refusal);
        Assert.Contains("shop.public.doc has no journal. Give the table the option 'journal'", start.Detail, StringComparison.Ordinal);
    }

    private static ReplayOrder Order(string table = "public.doc") => new("shop", "other", [table], null, 2000) { Journal = JournalWindow.All };

    private static async Task Load(string source, CancellationToken stop)
    {
        await using var connection = new NpgsqlConnection(source);
        await connection.OpenAsync(CancellationToken.None);
        for (var i = 1; !stop.IsCancellationRequested; i++)
        {
            await using var command = new NpgsqlCommand($"UPDATE doc SET n = {i} WHERE id IN ({(i * 31 % 300) + 1}, 7)", connection);
            await command.ExecuteNonQueryAsync(CancellationToken.None);
            await Task.Delay(2, CancellationToken.None);
        }
    }

    private static Dictionary<string, List<ChangeVersion>> Versions(InProcessCluster cluster, string sink) => cluster.Delivered
        .Where(d => d.Sink == sink && d.Event.Entity.Table == "public.doc" && d.Event.Value is not null)
        .GroupBy(d => d.Event.Entity.Key).ToDictionary(g => g.Key, g => g.Select(d => d.Event.Version).ToList());

    private static async Task<Lsn> Lsn(InProcessCluster cluster)
    {
        await using var source = NpgsqlDataSource.Create(cluster.Source);
        await using var command = source.CreateCommand("SELECT pg_current_wal_insert_lsn()::text");
        return Model.Changes.Lsn.Parse((string)(await command.ExecuteScalarAsync())!);
    }

    private static Task CaughtUp(InProcessCluster cluster) => InProcessCluster.Until(
        async () => (await cluster.Cluster.Client.GetGrain<IWalReaderGrain>("shop").GetStatus()).WindowChanges == 0, "the load to be durable");

    private static Task Unparked(InProcessCluster cluster) => InProcessCluster.Until(
        async () => await cluster.Control.Scalar("SELECT count(*)::text FROM cdc.parked_entities") == "0", "the parked events to leave");

    private async Task<InProcessCluster> Start(DeliveryPolicy? policy = null, short silos = 1, EntityMode mode = EntityMode.Row, bool journal = true)
    {
        var tables = new TableSelection { Pattern = "public.*", Entities = mode, Journal = journal ? new JournalOptions() : null };
        var cluster = await InProcessCluster.Start(control, sources.Server, silos, Schema, s => s with { Tables = [tables] }, pipeline: c => c with
        {
            Sinks = new[] { "collected", "other" }.ToDictionary(n => n, n => (SinkConfiguration)new InProcessCluster.CollectedConfiguration { Name = n }),
            Routes = [new RouteConfiguration
            {
                From = "shop.*", To = ["collected", "other"], Delivery = new Dictionary<string, DeliveryPolicy> { ["other"] = policy ?? DeliveryPolicy.Default },
            }],
        });
        await cluster.Streaming();
        return cluster;
    }

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
        var last = started;
        try
        {
            await InProcessCluster.Until(async () => (last = await Get(cluster, started.Id)).State is not ("running" or "paused"), "the replay");
        }
        catch (Exception late)
        {
            throw new InvalidOperationException($"{late.Message} It is {last.State}, {last.Tables[0]}, and waits for: {last.Waiting}", late);
        }

        var replay = await Get(cluster, started.Id);
        Assert.True(replay.State == "done", $"{replay.State}: {replay.Error}");
        return replay;
    }

    private static string? Text(SinkEvent made) => made.Value is null ? null : Value(made).GetProperty("after").ToString() + Value(made).GetProperty("before").ToString();

    private static int N(SinkEvent made) => Value(made).GetProperty("after").GetProperty("n").GetInt32();

    private static JsonElement Value(SinkEvent made) => JsonElement.Parse(Encoding.UTF8.GetString(made.Value!)) is var value && value.TryGetProperty("payload", out var payload) ? payload : value;
}
