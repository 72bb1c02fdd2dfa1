using CdcOrleans.Grains.Interfaces.Operations;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Integration.Capture;
using CdcOrleans.Integration.Storage;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Integration.Grains;

/// <summary>One of two sinks is paused, on several silos and over restarts, and resumed.</summary>
public sealed class PausingTests(ControlServer control, CaptureServer sources) : IClassFixture<CaptureServer>
{
    private const int Rows = 20;

    [Fact]
    public async Task A_paused_sink_gets_nothing_on_any_silo_nor_after_a_restart_and_everything_in_order_when_it_is_resumed()
    {
        await using var first = await Start(2, OutagePolicy.Spill);
        await Write(first, 0);
        await InProcessCluster.Until(() => Task.FromResult(Of(first, "other").Count == Rows), "events to arrive before the pause");

        Assert.Equal((true, true, "me"), await Pause(first, "me"));
        Assert.Equal((true, false, "me"), await Pause(first, "you"));
        await InProcessCluster.Until(async () => (await Other(first)) is [{ Pause: not null }, { Pause: not null }], "both silos to know of the pause");
        await Write(first, 1);
        await Write(first, 2);
        await IsParked(first, 2 * Rows);
        Assert.Equal(Rows, Of(first, "other").Count);
        Assert.Equal(3 * Rows, Of(first, "collected").Count);
        var view = Assert.Single(await Operations(first).GetSinks(TimeSpan.Zero), s => s.Name == "other");
        Assert.Equal(("me", 2L * Rows, 0L), (view.PausedBy, view.Stored!.Sum(s => s.Parked), view.Stored!.Sum(s => s.DeadLetters)));
        await first.Cluster.StopAllSilosAsync();

        await using var second = await first.StartBeside(c => Two(c, OutagePolicy.Spill));
        await second.Streaming();
        await Write(second, 3);
        await IsParked(second, 3 * Rows);
        Assert.Empty(Of(second, "other"));
        Assert.Equal("me", Assert.Single(await Other(second)).Pause?.Who);

        var resumed = await Operations(second).ResumeSink("other", "you");
        Assert.Equal((true, true, null), (resumed.IsKnown, resumed.IsChanged, resumed.PausedBy));
        Assert.False((await Operations(second).ResumeSink("other", "you")).IsChanged);
        await IsParked(second, 0);
        await Write(second, 4);
        await InProcessCluster.Until(() => Task.FromResult(Of(second, "other").Count >= 4 * Rows), "everything to arrive");
        Assert.Equal(4 * Rows, Of(second, "other").Count);
        foreach (var entity in Of(second, "other").GroupBy(d => d.Event.Entity))
            Assert.Equal(entity.Select(e => e.Event.Version).Order(), entity.Select(e => e.Event.Version));
        Assert.Equal("0", await second.Control.Scalar("SELECT count(*) FROM cdc.dead_letters"));

        Assert.Equal(
            ["resume sink|you|was not paused", "resume sink|you|resumed", "pause sink|you|was paused already", "pause sink|me|paused"],
            (await Operations(second).ListAudit(0, 10)).Select(a => $"{a.Operation}|{a.Who}|{a.Result}"));
    }

    [Fact]
    public async Task With_the_policy_hold_events_wait_and_the_sink_is_named_when_the_window_is_full()
    {
        await using var cluster = await Start(1, OutagePolicy.Hold, window: 50);
        await Pause(cluster, "me");
        await InProcessCluster.Until(async () => (await Other(cluster)) is [{ Pause: not null }], "the silo to know of the pause");
        for (var i = 0; i < 4; i++)
            await Write(cluster, i);
        await InProcessCluster.Until(
            async () => (await cluster.Cluster.Client.GetGrain<IWalReaderGrain>("shop").GetStatus()) is { State: SourceState.Holding, Detail: { } detail }
                && detail.Contains("'other' is paused by me", StringComparison.Ordinal),
            "the source to hold because of the pause");
        Assert.Empty(Of(cluster, "other"));
        Assert.Equal("0", await cluster.Control.Scalar("SELECT count(*) FROM cdc.parked_events"));

        await Operations(cluster).ResumeSink("other", "me");
        await InProcessCluster.Until(() => Task.FromResult(Of(cluster, "other").Count == 4 * Rows), "everything to arrive");
    }

    [Fact]
    public async Task A_sink_that_is_not_configured_cannot_be_paused_but_its_pause_can_be_ended()
    {
        await using var cluster = await Start(1, OutagePolicy.Spill);
        Assert.False((await Operations(cluster).PauseSink("nope", "me")).IsKnown);
        Assert.False((await Operations(cluster).ResumeSink("nope", "me")).IsKnown);
        await cluster.Control.Sinks.Pause("former", "me", TestContext.Current.CancellationToken);
        Assert.Contains(await Operations(cluster).GetSinks(TimeSpan.Zero), s => s is { Name: "former", Type: "removed", PausedBy: "me" });
        Assert.Equal((true, true), (await Operations(cluster).ResumeSink("former", "me")) is var ended ? (ended.IsKnown, ended.IsChanged) : default);
        Assert.DoesNotContain(await Operations(cluster).GetSinks(TimeSpan.Zero), s => s.Name == "former");
    }

    [Fact]
    public async Task A_test_asks_the_sink_on_a_silo_and_a_sink_that_breaks_is_an_answer()
    {
        await using var cluster = await Start(1, OutagePolicy.Spill);
        var testing = await Operations(cluster).TestSink("other");
        Assert.Equal((true, null, true), (testing.IsKnown, testing.Error, testing.Silo.Length > 0));
        cluster.Tests = name => name == "other" ? Task.FromResult<string?>("gone") : Task.FromException<string?>(new InvalidOperationException("broken"));
        Assert.Equal("gone", (await Operations(cluster).TestSink("other")).Error);
        Assert.Equal("The test failed: InvalidOperationException.", (await Operations(cluster).TestSink("collected")).Error);
        Assert.False((await Operations(cluster).TestSink("nope")).IsKnown);
    }

    private async Task<InProcessCluster> Start(short silos, OutagePolicy outage, int window = 10_000)
    {
        var cluster = await InProcessCluster.Start(
            control, sources.Server, silos, "CREATE TABLE doc (id int PRIMARY KEY, n int)", configure: s => s with { WindowChanges = window }, pipeline: c => Two(c, outage));
        await cluster.Streaming();
        return cluster;
    }

    // The route leads to a second sink too.
    private static PipelineConfiguration Two(PipelineConfiguration configuration, OutagePolicy outage) => configuration with
    {
        Sinks = new Dictionary<string, SinkConfiguration>(configuration.Sinks) { ["other"] = new InProcessCluster.CollectedConfiguration { Name = "other" } },
        Routes =
        [
            configuration.Routes[0] with
            {
                To = ["collected", "other"],
                Delivery = new Dictionary<string, DeliveryPolicy> { ["other"] = DeliveryPolicy.Default with { Outage = outage } },
            },
        ],
    };

    private static Task Write(InProcessCluster cluster, int n) => PostgresServer.Execute(
        cluster.Source, $"INSERT INTO doc SELECT i, {n} FROM generate_series(1, {Rows}) i ON CONFLICT (id) DO UPDATE SET n = excluded.n");

    private static async Task<(bool IsKnown, bool IsChanged, string? By)> Pause(InProcessCluster cluster, string who)
    {
        var pausing = await Operations(cluster).PauseSink("other", who);
        return (pausing.IsKnown, pausing.IsChanged, pausing.PausedBy);
    }

    private static Task IsParked(InProcessCluster cluster, int events) => InProcessCluster.Until(
        async () => await cluster.Control.Scalar("SELECT count(*) FROM cdc.parked_events") == $"{events}", $"{events} events to be parked");

    private static IOperationsGrain Operations(InProcessCluster cluster) => cluster.Cluster.Client.GetGrain<IOperationsGrain>(IOperationsGrain.Key);

    private static List<Received> Of(InProcessCluster cluster, string sink) => [.. cluster.Delivered.Where(d => d.Sink == sink)];

    private static async Task<SinkStatus[]> Other(InProcessCluster cluster) =>
        [.. (await cluster.Cluster.Client.GetGrain<IWalReaderGrain>("shop").GetStatus()).Silos.Values.SelectMany(s => s.Sinks).Where(s => s.Name == "other")];
}
