using CdcOrleans.Gateway.Cluster;
using CdcOrleans.Grains.Interfaces.Operations;

namespace CdcOrleans.Gateway.Metrics;

/// <summary>Reads the status of all sources and sinks every few seconds, so that a scrape never waits for the cluster.</summary>
internal sealed class SourceWatch(SourceStatusReader sources, ClusterCalls cluster, SourceMetrics metrics, GatewaySettings settings, TimeProvider time) : BackgroundService
{
    /// <summary>How old the counts of what is stored may be.</summary>
    private static readonly TimeSpan CountAge = TimeSpan.FromSeconds(10);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(settings.PollInterval, time);
        try
        {
            do
            {
                var views = ReadSinks(stoppingToken);
                metrics.Show(await sources.ReadAll(stoppingToken), await views);
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The gateway stops.
        }
    }

    // Without an answer, nothing is shown of what is stored.
    private async Task<SinkView[]> ReadSinks(CancellationToken cancellation)
    {
        try
        {
            return await cluster.Operations("the sinks", g => g.GetSinks(CountAge), cancellation);
        }
        catch (ClusterTroubleException)
        {
            return [];
        }
    }
}
