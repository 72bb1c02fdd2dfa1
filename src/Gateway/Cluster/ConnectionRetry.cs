namespace CdcOrleans.Gateway.Cluster;

/// <summary>Tries to connect to the cluster until it succeeds or the process stops.</summary>
internal sealed partial class ConnectionRetry(GatewaySettings settings, TimeProvider time, ILogger<ConnectionRetry> log) : IClientConnectionRetryFilter
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Reminder = TimeSpan.FromMinutes(1);

    private long? _lastSaid;

    public async Task<bool> ShouldRetryConnectionAttempt(Exception exception, CancellationToken cancellationToken)
    {
        if (_lastSaid is not { } said || time.GetElapsedTime(said) >= Reminder)
        {
            _lastSaid = time.GetTimestamp();
            LogWaiting(settings.ClusterId, exception.GetType().Name, exception.Message);
        }

        await Task.Delay(Pause, time, cancellationToken);
        return true;
    }

    [LoggerMessage(1, LogLevel.Warning, "Waiting for the cluster '{Cluster}': {Exception}: {Message} Trying again every 2 s; "
        + "check control.connection, and that a silo with this cluster.id runs.")]
    private partial void LogWaiting(string cluster, string exception, string message);
}
