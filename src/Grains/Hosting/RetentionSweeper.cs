using System.Diagnostics.Metrics;
using CdcOrleans.Model;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Grains.Hosting;

/// <summary>
/// Deletes delete markers, dead letters and audit entries when they have the age of <c>control.retention</c>. Every silo tries, and one at a time works.
/// It deletes a few rows in each transaction and pauses in between, so that checkpoints have no long wait. It continues after any error.
/// </summary>
internal sealed partial class RetentionSweeper(PipelineConfiguration configuration, IRetentionStore store, TimeProvider time, ILogger<RetentionSweeper> logger)
    : BackgroundService
{
    /// <summary>Time between sweeps.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);

    /// <summary>Time between two transactions of a sweep.</summary>
    public static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    /// <summary>Most delete markers in one transaction.</summary>
    public const int MostMarkers = 1000;

    /// <summary>Most dead letters in one transaction: fewer, because each has a whole event.</summary>
    public const int MostLetters = 100;

    /// <summary>Most entries of the audit log in one transaction.</summary>
    public const int MostEntries = 1000;

    private static readonly Counter<long> Purged =
        CdcMeter.Instance.CreateCounter<long>("cdc.retention.purged", "{row}", "Rows deleted from the control database because of their age.");

    /// <inheritdoc />
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var control = configuration.Control;
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            do
            {
                await Sweep("delete markers", control.DeleteMarkerRetention, MostMarkers, store.PurgeDeleteMarkers, stoppingToken);
                await Sweep("dead letters", control.DeadLetterRetention, MostLetters, store.PurgeDeadLetters, stoppingToken);
                await Sweep("audit entries", control.AuditRetention, MostEntries, store.PurgeAudit, stoppingToken);
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The silo stops.
        }
    }

    private async Task Sweep(
        string what, TimeSpan age, int most, Func<TimeSpan, int, CancellationToken, Task<int?>> purge, CancellationToken cancellation)
    {
        if (age == TimeSpan.Zero)
            return;
        var all = 0L;
        try
        {
            while (await purge(age, most, cancellation) is { } purged)
            {
                all += purged;
                Purged.Add(purged, new KeyValuePair<string, object?>("kind", what));
                if (purged < most)
                    break;
                await Task.Delay(Pause, time, cancellation);
            }
        }
#pragma warning disable CA1031 // After any error, the next sweep tries again.
        catch (Exception exception) when (!cancellation.IsCancellationRequested)
#pragma warning restore CA1031
        {
            LogFailed(logger, what, exception.Message);
        }

        if (all > 0)
            LogPurged(logger, all, what, age);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Deleted {Count} {What} that are older than {Age}")]
    private static partial void LogPurged(ILogger logger, long count, string what, TimeSpan age);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Old {What} could not be deleted; the next sweep tries again: {Error}")]
    private static partial void LogFailed(ILogger logger, string what, string error);
}
