using CdcOrleans.Grains.Runtime;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Grains.Hosting;

/// <summary>Reads twice a second which sinks are paused. While the control database does not answer, what was read last counts.</summary>
internal sealed partial class PauseWatch(SinkPauses pauses, TimeProvider time, ILogger<PauseWatch> logger) : BackgroundService
{
    /// <summary>Time between two reads.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500);

    /// <inheritdoc />
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var isFailing = false;
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                try
                {
                    await pauses.Read(stoppingToken);
                    isFailing = false;
                }
#pragma warning disable CA1031 // After any error, the next read tries again.
                catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
#pragma warning restore CA1031
                {
                    if (!isFailing)
                        LogFailed(logger, exception.Message);
                    isFailing = true;
                }
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The silo stops.
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "It could not be read which sinks are paused; what was read last counts: {Error}")]
    private static partial void LogFailed(ILogger logger, string error);
}
