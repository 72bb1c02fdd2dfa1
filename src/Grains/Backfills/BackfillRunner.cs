using System.Collections.Concurrent;
using CdcOrleans.Grains.Interfaces;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Grains.Backfills;

/// <summary>
/// Runs one backfill: it reads its tables, some at the same time, in chunks, gives each partition its rows of a chunk, and writes the progress
/// when every partition is done with it. Any number of runners may run one backfill for a moment: the store accepts the progress of the
/// newest only, and merging a row twice is harmless.
/// </summary>
/// <param name="store">The backfills.</param>
/// <param name="replays">The stored keys.</param>
/// <param name="reader">Reads the rows.</param>
/// <param name="source">The reader and the partitions.</param>
/// <param name="options">The options of the source.</param>
/// <param name="time">The clock.</param>
/// <param name="logger">Its log.</param>
internal sealed partial class BackfillRunner(
    IBackfillStore store, IReplayStore replays, IChunkReader reader, IBackfillSource source, BackfillOptions options, TimeProvider time,
    ILogger logger)
{
    private static readonly TimeSpan Retry = TimeSpan.FromMilliseconds(250);

    /// <summary>Largest row, in bytes, that can be sent to a partition.</summary>
    public int MostOfRow { get; init; } = MessageLimits.MostOfChange;

    /// <summary>Runs a backfill until it ends, is paused, or somebody else runs it.</summary>
    public async Task Run(long id, CancellationToken stop)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var progress = new BackfillProgress(store, time, logger, ended.Token);
        if (await progress.Begin(id) is not { } begun)
            return;
        LogBegun(logger, begun.Source, id, begun.Run);
        try
        {
            var failed = begun.Tables.Where(t => t.Error is not null).Select(t => t.Table).Concat(await ReadTables(progress, ended)).ToList();
            await progress.End(failed.Count == 0 ? null : $"{failed.Count} of {begun.Tables.Count} table(s) could not be read to the end: {string.Join(", ", failed.Take(10))}. Each has its error.");
            LogDone(logger, begun.Source, id);
        }
        catch (BackfillStoppedException)
        {
            // A person paused or ended it, or somebody else runs it.
        }
    }

    // Returns the tables that could not be read to the end. When it must stop because of one table, it stops all.
    private async Task<IEnumerable<string>> ReadTables(BackfillProgress progress, CancellationTokenSource ended)
    {
        var (backfill, stop) = (progress.Backfill, ended.Token);
        var order = new SnapshotOrder(backfill);
        var shared = new SharedOfTables(
            new BackfillLegs(reader, source, stop), order, new BackfillTurn(backfill, store, time, stop), new Pace(backfill.Rate, options.ChunkTime, time, stop), time);
        var open = new ConcurrentQueue<TableProgress>(progress.Open);
        var failed = new ConcurrentBag<(int Place, string Table)>();
        await Task.WhenAll(Enumerable.Range(0, Math.Min(options.Parallel, progress.Open.Count)).Select(_ => ReadSome()));
        return failed.Order().Select(f => f.Table);

        async Task ReadSome()
        {
            try
            {
                while (open.TryDequeue(out var table))
                {
                    await order.MayBegin(table.Table).WaitAsync(stop);
                    if (!await TryTable(table, shared, stop))
                        failed.Add((table.Table.Place, table.Table.Table));
                    order.Ended(table.Table);
                }
            }
            catch
            {
                await ended.CancelAsync();
                throw;
            }
        }
    }

    // One table that cannot be read does not keep the others.
    private async Task<bool> TryTable(TableProgress progress, SharedOfTables shared, CancellationToken stop)
    {
        var table = new TableRunner(store, replays, reader, source, progress, shared, stop) { MostOfRow = MostOfRow };
        try
        {
            await ReadTable(table, progress, shared, stop);
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

    private async Task ReadTable(TableRunner table, TableProgress progress, SharedOfTables shared, CancellationToken stop)
    {
        await progress.Read(table.Plan);
        BackfillLeg? leg = null;
        while (!progress.Table.IsDone)
        {
            try
            {
                await shared.Turn.Await(progress);
                leg = await shared.Legs.Get(table, progress);
                await table.Run(leg);
                if (progress.Table.Again.Count > 0)
                    shared.Legs.End(leg);
            }
            catch (LegEndedException)
            {
                if (leg is not null)
                    shared.Legs.End(leg);
                table.LegEnded();
                LogLegEnded(logger, progress.Backfill.Source, progress.Backfill.Id);
                await Task.Delay(Retry, time, stop);
            }
            catch (TableAlteredException altered)
            {
                table.LegEnded();
                LogAltered(logger, progress.Backfill.Source, progress.Backfill.Id, progress.Table.Table, altered.Message);
                await table.BeginAgain(altered.Message);
                if (leg is not null)
                    shared.Legs.End(leg);
            }
        }
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

/// <summary>What the tables of one run of a backfill share.</summary>
internal sealed record SharedOfTables(BackfillLegs Legs, SnapshotOrder Order, BackfillTurn Turn, Pace Pace, TimeProvider Time);
