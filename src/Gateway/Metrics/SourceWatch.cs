using CdcOrleans.Gateway.Cluster;

namespace CdcOrleans.Gateway.Metrics;

/// <summary>Reads the status of all sources every few seconds, so that a scrape never waits for the cluster.</summary>
internal sealed class SourceWatch(SourceStatusReader sources, SourceMetrics metrics, GatewaySettings settings, TimeProvider time) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(settings.PollInterval, time);
        try
        {
            do
            {
                metrics.Show(await sources.ReadAll(stoppingToken));
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The gateway stops.
        }
    }
}
