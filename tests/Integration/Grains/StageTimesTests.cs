using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Integration.Capture;
using CdcOrleans.Integration.Storage;
using CdcOrleans.Model;
using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Integration.Grains;

/// <summary>The times of the stages in a running cluster: they are counted, and those of a stage that is held up are as long as that.</summary>
public sealed class StageTimesTests(ControlServer control, CaptureServer sources) : IClassFixture<CaptureServer>
{
    [Fact]
    public async Task A_sink_that_answers_late_shows_in_the_last_stage_alone()
    {
        await using var cluster = await InProcessCluster.Start(control, sources.Server, 2, "CREATE TABLE doc (id int PRIMARY KEY, n int)");
        await cluster.Streaming();
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc SELECT i, 0 FROM generate_series(1, 100) i");
        await cluster.Arrived(100);
        // Silos report at their own times, and a silo without a partition measures nothing.
        await InProcessCluster.Until(
            async () => await Status(cluster) is { Silos.Count: 2 } status && Measuring(status).All(s => s.Applies!.Counts.Sum() > 0)
                && Deliveries(status).Sum(d => d.Counts.Sum()) > 0, "both silos to report what they measured");
        var before = await Status(cluster);
        Assert.All([before.Reads!, before.Dispatches!, .. Measuring(before).Select(s => s.Applies!)], t => Assert.InRange(t.Counts.Sum(), 1, 100));

        cluster.Holds = _ => true;
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc VALUES (101, 0)");
        await InProcessCluster.Until(() => Task.FromResult(cluster.Held > 0), "the sink to have the event");
        await Task.Delay(TimeSpan.FromSeconds(1.1), TestContext.Current.CancellationToken);
        cluster.Release();
        await InProcessCluster.Until(async () => Deliveries(await Status(cluster)).Sum(Slow) == 1, "the late answer to be measured");
        var after = await Status(cluster);
        Assert.Equal(before.Reads!.Counts.Sum() + 1, after.Reads!.Counts.Sum());
        Assert.Equal(before.Dispatches!.Counts.Sum() + 1, after.Dispatches!.Counts.Sum());
        Assert.Equal(0, Slow(after.Dispatches) + Applies(after).Sum(Slow));
        Assert.Equal(1, Deliveries(after).Sum(Slow));
    }

    // Times of more than a second.
    private static long Slow(TimeCounts times) => times.Counts.Skip(TimeHistogram.Bounds.Count(b => b <= 1)).Sum();

    private static IEnumerable<SiloFigures> Measuring(SourceStatus status) => status.Silos.Values.Where(s => s.Partitions > 0);

    private static IEnumerable<TimeCounts> Applies(SourceStatus status) => status.Silos.Values.Select(s => s.Applies!);

    private static IEnumerable<TimeCounts> Deliveries(SourceStatus status) => status.Silos.Values.SelectMany(s => s.Sinks).Select(s => s.Deliveries!);

    private static async Task<SourceStatus> Status(InProcessCluster cluster) => await cluster.Cluster.Client.GetGrain<IWalReaderGrain>("shop").GetStatus();
}
