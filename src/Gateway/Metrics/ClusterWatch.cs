using CdcOrleans.Gateway.Cluster;

namespace CdcOrleans.Gateway.Metrics;

/// <summary>Reads figures of the cluster again and again, for metrics.</summary>
/// <param name="interval">Time between two reads.</param>
/// <param name="time">The clock.</param>
internal abstract class ClusterWatch(TimeSpan interval, TimeProvider time) : BackgroundService
{
    /// <summary>Whether there is anything to read.</summary>
    protected virtual bool IsNeeded => true;

    /// <summary>Reads the figures.</summary>
    /// <exception cref="ClusterTroubleException">They cannot be read now.</exception>
    protected abstract Task Read(CancellationToken cancellation);

    /// <summary>The figures could not be read.</summary>
    protected abstract void Unread(ClusterTroubleException trouble);

    /// <inheritdoc />
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!IsNeeded)
            return;
        using var timer = new PeriodicTimer(interval, time);
        try
        {
            do
            {
                try
                {
                    await Read(stoppingToken);
                }
                catch (ClusterTroubleException trouble)
                {
                    Unread(trouble);
                }
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The gateway stops.
        }
    }
}
