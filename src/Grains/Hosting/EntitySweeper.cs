using CdcOrleans.Grains.Entities;
using CdcOrleans.Grains.Partitions;
using Microsoft.Extensions.Hosting;

namespace CdcOrleans.Grains.Hosting;

/// <summary>
/// Makes every partition of the silo put entities to sleep: those that had no work for some time, and, while the budget is exceeded, the
/// least recently used. Without it, a partition of an idle source would have no turns in which to do this.
/// </summary>
internal sealed class EntitySweeper(EntityHosts hosts, TimeProvider time) : BackgroundService
{
    /// <summary>Time between sweeps.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <summary>Time without work after which an entity is put to sleep.</summary>
    public static readonly TimeSpan Idle = TimeSpan.FromMinutes(5);

    /// <inheritdoc />
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                foreach (var host in hosts.All)
                    (host as Partition)?.Sweep(Idle);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The silo stops.
        }
    }
}
