using CdcOrleans.Grains.Interfaces.Sources;
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

/// <summary>One of two sinks fails for a while; what was parked for it outlives silos and configurations.</summary>
public sealed class ParkingTests(ControlServer control, CaptureServer sources) : IClassFixture<CaptureServer>
{
    private const string Schema = "CREATE TABLE doc (id int PRIMARY KEY, n int)";
    private const int Rows = 20;

    private static readonly DeliveryPolicy Soon = new()
    {
        Inline = TimeSpan.Zero, Backoff = new RetryPolicy(TimeSpan.FromMilliseconds(100), TimeSpan.FromMilliseconds(300)),
    };

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_is_parked_survives_the_end_of_its_silo_and_drains_in_order_before_later_events(bool isKilled)
    {
        await using var first = await Start(Soon);
        await Park(first);
        await End(first, isKilled);

        await using var second = await first.StartBeside(c => Two(c, Soon));
        await second.Streaming();
        await PostgresServer.Execute(second.Source, "UPDATE doc SET n = 3");
        await InProcessCluster.Until(() => Task.FromResult(Of(second, "other").Count >= 4 * Rows), "everything to arrive");
        await NothingIsParked(second);

        Assert.Equal(4 * Rows, Of(second, "other").Count);
        AssertOrder(Of(second, "other"));
        Assert.Equal(3 * Rows, Of(second, "other").Count(d => d.Event.Version <= Last(first) && d.Event.Origin == EventOrigin.Redelivery));
        Assert.Equal(Rows, Of(second, "collected").Count(d => d.Event.Version > Last(first)));
        Assert.Equal("0", await second.Control.Scalar("SELECT count(*) FROM cdc.dead_letters"));
    }

    [Fact]
    public async Task What_is_parked_by_a_silo_that_is_killed_while_nothing_changes_is_delivered_by_another()
    {
        await using var cluster = await Start(Soon, silos: 2);
        await Park(cluster);

        // The reader goes on, and has nothing to send to the partitions that must start again.
        var reader = (await cluster.Cluster.Client.GetGrain<IWalReaderGrain>("shop").GetStatus()).Silo;
        await cluster.Cluster.KillSiloAsync(cluster.Cluster.Silos.First(s => s.SiloAddress.ToParsableString() != reader));
        cluster.Fails = (_, _) => null;
        await NothingIsParked(cluster);
        Assert.Equal(3 * Rows, Of(cluster, "other").Select(d => d.Event.Id).Distinct().Count());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task After_a_crash_before_the_checkpoint_what_was_to_be_parked_is_neither_lost_nor_doubled(bool failsAgain)
    {
        await using var first = await Start(Soon);
        first.Fails = (sink, _) => sink == "other" ? DeliveryFailure.OfEvent("later") : null;

        // The checkpoint has written what is parked, and waits for the states.
        await using var obstacle = new NpgsqlConnection(first.Control.Connection);
        await obstacle.OpenAsync(TestContext.Current.CancellationToken);
        await using var obstruction = await obstacle.BeginTransactionAsync(TestContext.Current.CancellationToken);
        await using (var hold = new NpgsqlCommand("LOCK TABLE cdc.entity_states IN EXCLUSIVE MODE", obstacle))
            await hold.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        await Write(first);
        await InProcessCluster.Until(() => Task.FromResult(Of(first, "collected").Count == 3 * Rows), "the healthy sink to have everything");
        await first.Control.SomebodyWaitsForALock();
        await End(first, isKilled: true);
        await PostgresServer.Execute(
            first.Control.Connection,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'");
        await obstruction.RollbackAsync(TestContext.Current.CancellationToken);
        Assert.Equal("0", await first.Control.Scalar("SELECT count(*) FROM cdc.parked_events"));

        await using var second = await first.StartBeside(c => Two(c, Soon), (sink, _) => failsAgain && sink == "other" ? DeliveryFailure.OfEvent("later") : null);
        if (failsAgain)
        {
            await IsParked(second, 3 * Rows);
            second.Fails = (_, _) => null;
        }

        await InProcessCluster.Until(() => Task.FromResult(Of(second, "other").Count >= 3 * Rows), "everything to arrive");
        await NothingIsParked(second);
        Assert.Equal(3 * Rows, Of(second, "other").Count);
        AssertOrder(Of(second, "other"));

        // A sink that compares versions has applied each change once, although the healthy one got them twice.
        Assert.Equal(3 * Rows, AppliedBy(Of(first, "collected").Concat(Of(second, "collected"))));
    }

    [Fact]
    public async Task What_is_parked_for_a_sink_that_was_removed_is_shown_and_drains_when_the_sink_is_back()
    {
        await using var first = await Start(Soon);
        await Park(first);
        await End(first, isKilled: false);

        await using (var without = await first.StartBeside())
        {
            await without.Streaming();
            await PostgresServer.Execute(without.Source, "UPDATE doc SET n = 3");
            await without.Arrived(Rows);
            await InProcessCluster.Until(async () => (await Other(without)).Sum(s => s.Parked) == 3 * Rows, "the status to show what is parked");
            var status = await Other(without);
            Assert.All(status, s => Assert.False(s.Healthy));
            Assert.All(status, s => Assert.Contains("parked events wait for sink 'other'", s.LastError, StringComparison.Ordinal));
            Assert.Equal($"{3 * Rows}", await without.Control.Scalar("SELECT count(*) FROM cdc.parked_events"));
            await End(without, isKilled: false);
        }

        await using var second = await first.StartBeside(c => Two(c, Soon));
        await InProcessCluster.Until(() => Task.FromResult(Of(second, "other").Count >= 3 * Rows), "everything to arrive");
        await NothingIsParked(second);
        Assert.Equal(3 * Rows, Of(second, "other").Count);
        AssertOrder(Of(second, "other"));
        Assert.All(await Other(second), s => Assert.True(s is { Healthy: true, Parked: 0 }));
    }

    [Fact]
    public async Task A_policy_that_was_changed_counts_for_what_is_parked_already()
    {
        var late = Soon with { Backoff = new RetryPolicy(TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(10), Jitter: 0) };
        await using var first = await Start(late);
        await Park(first);
        await End(first, isKilled: false);

        await using var second = await first.StartBeside(
            c => Two(c, Soon with { GiveUpAttempts = 3 }), (sink, made) => sink == "other" && made.Version <= Last(first) ? DeliveryFailure.OfEvent("later") : null);
        await second.Streaming();
        await InProcessCluster.Until(
            async () => await second.Control.Scalar("SELECT count(*) FROM cdc.dead_letters") == $"{3 * Rows}", "everything to be given up");
        await NothingIsParked(second);
        Assert.Equal("true", await second.Control.Scalar("SELECT (bool_and(error LIKE '%3 attempts (give_up.attempts)%later%' AND sink = 'other'))::text FROM cdc.dead_letters"));

        await PostgresServer.Execute(second.Source, "UPDATE doc SET n = 3");
        await InProcessCluster.Until(() => Task.FromResult(Of(second, "other").Count == Rows), "the later events");
        Assert.Equal(Rows, Of(second, "collected").Count);
    }

    private async Task<InProcessCluster> Start(DeliveryPolicy policy, short silos = 1)
    {
        var cluster = await InProcessCluster.Start(control, sources.Server, silos, Schema, pipeline: c => Two(c, policy));
        await cluster.Streaming();
        return cluster;
    }

    // The route leads to a second sink too.
    private static PipelineConfiguration Two(PipelineConfiguration configuration, DeliveryPolicy policy) => configuration with
    {
        Sinks = new Dictionary<string, SinkConfiguration>(configuration.Sinks) { ["other"] = new InProcessCluster.CollectedConfiguration { Name = "other" } },
        Routes = [configuration.Routes[0] with { To = ["collected", "other"], Delivery = new Dictionary<string, DeliveryPolicy> { ["other"] = policy } }],
    };

    // Writes while the second sink fails, until everything is parked for it and confirmed.
    private static async Task Park(InProcessCluster cluster)
    {
        cluster.Fails = (sink, _) => sink == "other" ? DeliveryFailure.OfEvent("later") : null;
        await Write(cluster);
        await IsParked(cluster, 3 * Rows);
        var end = Lsn.Parse((await PostgresServer.Scalar(cluster.Source, "SELECT pg_current_wal_flush_lsn()::text"))!);
        await InProcessCluster.Until(
            async () => (await cluster.Control.Positions.Find("shop", TestContext.Current.CancellationToken))?.Confirmed >= end,
            "the log to be confirmed although events are parked");
        Assert.Equal(3 * Rows, Of(cluster, "collected").Count);
        Assert.Empty(Of(cluster, "other"));
    }

    private static async Task Write(InProcessCluster cluster)
    {
        await PostgresServer.Execute(cluster.Source, $"INSERT INTO doc SELECT i, 0 FROM generate_series(1, {Rows}) i");
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 1");
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 2");
    }

    private static Task IsParked(InProcessCluster cluster, int events) => InProcessCluster.Until(
        async () => await cluster.Control.Scalar("SELECT count(*) FROM cdc.parked_events") == $"{events}", $"{events} events to be parked");

    private static Task NothingIsParked(InProcessCluster cluster) => InProcessCluster.Until(
        async () => await cluster.Control.Scalar("SELECT (SELECT count(*) FROM cdc.parked_events) + (SELECT count(*) FROM cdc.parked_entities)") == "0",
        "nothing to be parked any more");

    private static async Task End(InProcessCluster cluster, bool isKilled)
    {
        if (!isKilled)
        {
            await cluster.Cluster.StopAllSilosAsync();
            return;
        }

        foreach (var silo in cluster.Cluster.Silos.ToList())
            await cluster.Cluster.KillSiloAsync(silo);
    }

    private static List<Received> Of(InProcessCluster cluster, string sink) => [.. cluster.Delivered.Where(d => d.Sink == sink)];

    private static ChangeVersion Last(InProcessCluster cluster) => Of(cluster, "collected").Max(d => d.Event.Version);

    private static async Task<SinkStatus[]> Other(InProcessCluster cluster) =>
        [.. (await cluster.Cluster.Client.GetGrain<IWalReaderGrain>("shop").GetStatus()).Silos.Values.SelectMany(s => s.Sinks).Where(s => s.Name == "other")];

    private static void AssertOrder(List<Received> received)
    {
        foreach (var entity in received.GroupBy(r => r.Event.Entity))
        {
            var versions = entity.Select(e => e.Event.Version).ToList();
            Assert.DoesNotContain(versions.Zip(versions.Skip(1)), pair => pair.Second <= pair.First);
        }
    }

    // How many events a sink applies that takes only what is newer than what it has.
    private static int AppliedBy(IEnumerable<Received> received)
    {
        var has = new Dictionary<string, ChangeVersion>();
        var applied = 0;
        foreach (var made in received.Select(r => r.Event))
        {
            if (has.TryGetValue(made.Entity.Key, out var version) && made.Version <= version)
                continue;
            has[made.Entity.Key] = made.Version;
            applied++;
        }

        return applied;
    }
}
