using CdcOrleans.Grains.Interfaces;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Grains.Backfills;

/// <summary>
/// Runs one backfill: it reads its tables, one after the other, in chunks, gives each partition its rows of a chunk, and writes the progress
/// when every partition is done with it. Any number of runners may run one backfill for a moment: the store accepts the progress of the
/// newest only, and merging a row twice is harmless.
/// </summary>
/// <param name="store">The backfills.</param>
/// <param name="replays">The stored keys.</param>
/// <param name="reader">Reads the rows.</param>
/// <param name="source">The reader and the partitions.</param>
/// <param name="time">The clock.</param>
/// <param name="logger">Its log.</param>
internal sealed partial class BackfillRunner(
    IBackfillStore store, IReplayStore replays, IChunkReader reader, IBackfillSource source, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan Retry = TimeSpan.FromMilliseconds(250);

    private BackfillLeg? _leg;

    /// <summary>Largest row, in bytes, that can be sent to a partition.</summary>
    public int MostOfRow { get; init; } = MessageLimits.MostOfChange;

    /// <summary>Runs a backfill until it ends, is paused, or somebody else runs it.</summary>
    public async Task Run(long id, CancellationToken stop)
    {
        var progress = new BackfillProgress(store, time, logger, stop);
        if (await progress.Begin(id) is not { } begun)
            return;
        LogBegun(logger, begun.Source, id, begun.Run);
        try
        {
            List<string> failed = [.. begun.Tables.Where(t => t.Error is not null).Select(t => t.Table)];
            foreach (var table in begun.Tables.Where(t => !t.IsDone))
            {
                progress.Table = table;
                if (!await TryTable(progress, stop))
                    failed.Add(table.Table);
            }

            await progress.End(failed.Count == 0 ? null : $"{failed.Count} of {begun.Tables.Count} table(s) could not be read to the end: {string.Join(", ", failed.Take(10))}. Each has its error.");
            LogDone(logger, begun.Source, id);
        }
        catch (BackfillStoppedException)
        {
            // A person paused or ended it, or somebody else runs it.
        }
    }

    // One table that cannot be read does not keep the others.
    private async Task<bool> TryTable(BackfillProgress progress, CancellationToken stop)
    {
        var table = new TableRunner(store, replays, reader, source, progress, time, stop) { MostOfRow = MostOfRow };
        try
        {
            await RunTable(table, progress, stop);
            return true;
        }
        catch (Exception problem) when (problem is BackfillProblemException or CaptureException)
        {
            LogFailed(logger, progress.Backfill.Source, progress.Backfill.Id, progress.Table.Table, problem.Message);
            progress.Table = progress.Table with { IsDone = true, Error = problem.Message };
            progress.Waiting = null;
            await progress.Save();
            await table.Unwatch();
            return false;
        }
    }

    private async Task RunTable(TableRunner table, BackfillProgress progress, CancellationToken stop)
    {
        await progress.Read(table.Plan);
        while (!progress.Table.IsDone)
        {
            try
            {
                _leg ??= await Begin(table, progress, stop);
                await table.Run(_leg);
                if (progress.Table.Again.Count > 0)
                    _leg = null;
            }
            catch (LegEndedException)
            {
                _leg = null;
                table.LegEnded();
                LogLegEnded(logger, progress.Backfill.Source, progress.Backfill.Id);
                await Task.Delay(Retry, time, stop);
            }
            catch (TableAlteredException altered)
            {
                _leg = null;
                table.LegEnded();
                LogAltered(logger, progress.Backfill.Source, progress.Backfill.Id, progress.Table.Table, altered.Message);
                await table.BeginAgain(altered.Message);
            }
        }
    }

    // The horizon must be settled, and the partitions must have everything before it.
    private async Task<BackfillLeg> Begin(TableRunner table, BackfillProgress progress, CancellationToken stop)
    {
        var generations = await progress.Read(async () =>
            await Task.WhenAll(Enumerable.Range(0, source.Partitions).Select(source.Generation)));
        var horizon = await progress.Read(async () =>
        {
            await table.Watch();
            return await reader.TakeHorizon(stop);
        });
        while (await progress.Read(() => reader.Unsettled(horizon, stop)) is { } unsettled)
            await progress.Wait(unsettled, Retry);
        while (await progress.Read(() => source.HasReached(horizon.Lsn)) is { IsReached: false } reached)
            await progress.Wait(reached.Waiting, Retry);
        progress.Waiting = null;
        return new BackfillLeg(horizon, generations);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Source}: backfill {Backfill} runs here, run {Run}")]
    private static partial void LogBegun(ILogger logger, string source, long backfill, long run);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Source}: backfill {Backfill} has ended")]
    private static partial void LogDone(ILogger logger, string source, long backfill);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Source}: backfill {Backfill}: a partition has moved, so it goes on behind a new horizon")]
    private static partial void LogLegEnded(ILogger logger, string source, long backfill);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: backfill {Backfill} reads {Table} from its start again: {Reason}")]
    private static partial void LogAltered(ILogger logger, string source, long backfill, string table, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: backfill {Backfill} cannot read {Table} to the end: {Error}")]
    private static partial void LogFailed(ILogger logger, string source, long backfill, string table, string error);
}
