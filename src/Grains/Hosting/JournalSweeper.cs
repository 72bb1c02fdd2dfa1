using System.Diagnostics.Metrics;
using CdcOrleans.Model;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Grains.Hosting;

/// <summary>
/// Looks after the journals: begins new segments and deletes old ones by age and size. Every silo tries, and one at a time works. A journal
/// whose table has none any more in the configuration keeps its last bounds. It continues after any error.
/// </summary>
internal sealed partial class JournalSweeper(
    PipelineConfiguration configuration, IJournalReader journals, IRetentionStore store, TimeProvider time, ILogger<JournalSweeper> logger) : BackgroundService
{
    /// <summary>Time between sweeps.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);

    private static readonly Counter<long> Deleted =
        CdcMeter.Instance.CreateCounter<long>("cdc.journal.segments.deleted", "{segment}", "Segments of journals deleted because of age or size.");

    /// <inheritdoc />
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            do
            {
                await Sweep(stoppingToken);
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The silo stops.
        }
    }

    private async Task Sweep(CancellationToken cancellation)
    {
        IReadOnlyList<JournalStatus> found = [];
        await Try("the journals", async () => found = await journals.List(cancellation), cancellation);
        foreach (var journal in found)
        {
            await Try($"the journal of {journal.Source}.{journal.Table}", async () =>
            {
                if (await store.SweepJournal(journal.TableId, OptionsOf(journal), cancellation) is not (> 0 and var deleted))
                    return;
                Deleted.Add(deleted, new KeyValuePair<string, object?>("source", journal.Source), new KeyValuePair<string, object?>("table", journal.Table));
                LogDeleted(logger, deleted, journal.Source, journal.Table);
            }, cancellation);
        }
    }

    private JournalOptions? OptionsOf(JournalStatus journal)
    {
        var dot = journal.Table.IndexOf('.', StringComparison.Ordinal);
        return dot > 0 && configuration.Sources.TryGetValue(journal.Source, out var source) ? source.Select(journal.Table[..dot], journal.Table[(dot + 1)..])?.Journal : null;
    }

    private async Task Try(string what, Func<Task> work, CancellationToken cancellation)
    {
        try
        {
            await work();
        }
#pragma warning disable CA1031 // After any error, the next sweep tries again.
        catch (Exception exception) when (!cancellation.IsCancellationRequested)
#pragma warning restore CA1031
        {
            LogFailed(logger, what, exception.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Deleted the {Count} oldest segments of the journal of {Source}.{Table}")]
    private static partial void LogDeleted(ILogger logger, int count, string source, string table);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Could not look after {What}; the next sweep tries again: {Error}")]
    private static partial void LogFailed(ILogger logger, string what, string error);
}
