using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Backfills;

/// <summary>
/// Reads one table: first all rows in order, then for a repair or verification the rows of all stored keys, and then the rows that a chunk
/// could not tell. Some chunks are merged while the next one is read.
/// </summary>
internal sealed partial class TableRunner(
    IBackfillStore store, IReplayStore replays, IChunkReader reader, IBackfillSource source, TableProgress progress, SharedOfTables shared,
    CancellationToken stop)
{
    private const string Forgotten = "its stored rows were forgotten, because rows may have changed without an event";

    private static readonly TimeSpan Retry = TimeSpan.FromMilliseconds(100);

    /// <summary>How long the stream may take to a fence until this counts as waiting.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <summary>Chunks that are merged at a time.</summary>
    private const int MostMerging = 4;

    /// <summary>Most transaction ids since the horizon.</summary>
    private const ulong MostIds = 1UL << 30;

    /// <summary>Most keys of which the rows are read together.</summary>
    private const int MostKeys = 500;

    /// <summary>Most stored rows that are looked at together.</summary>
    private const int MostLookedAt = 2000;

    /// <summary>How often one run reads a table from its start because it was altered, at most.</summary>
    private const int MostStarts = 10;

    private ChunkSnapshot? _last;
    private BackfillLeg? _leg;

    // Parts of chunks for which a partition has no memory now.
    private int _refused;
    private Task _reached = Task.CompletedTask;
    private int _tableId;
    private bool _hasNoStates;
    private bool _hasMerged;

    // Partitions remember which rows lack values, but not beyond their activations.
    private bool _isForgotten = progress.Backfill.Run > 1;

    // Whether nothing was told of the table yet.
    private bool _isAtStart = progress.Table is { After: null, IsRead: false };
    private int _starts = 1;

    /// <summary>Largest row, in bytes, that can be sent to a partition.</summary>
    public required int MostOfRow { get; init; }

    private BackfillScope Scope
    {
        get
        {
            var name = progress.Table.Table;
            var dot = name.IndexOf('.', StringComparison.Ordinal);
            return new BackfillScope(name[..dot], name[(dot + 1)..]) { Where = progress.Table.Where, Columns = progress.Table.Columns };
        }
    }

    /// <summary>Checks the table, and remembers which one it is.</summary>
    public async Task<bool> Plan()
    {
        var plan = await reader.Plan(Scope, stop);
        if (BackfillOrders.Problem(progress.Backfill.Source, plan, progress.Table.Keys) is { } problem)
            throw new BackfillProblemException(problem);
        _tableId = plan.Table.TableId;
        if (progress.Table.Relation == 0)
            progress.Table = progress.Table with { Relation = plan.Table.RelationOid };
        if (_isAtStart)
            progress.Table = progress.Table with { RowsTotal = progress.Table.Keys?.Count ?? plan.EstimatedRows };
        if (progress.Table.Keys is { } keys && !progress.Table.IsRead)
            progress.Table = progress.Table with { IsRead = true, Again = keys };
        return true;
    }

    /// <summary>
    /// Makes the partitions remember which rows lack values. Called before the horizon of a leg is taken, so that chunks show what was applied
    /// before.
    /// </summary>
    public async Task<bool> Watch()
    {
        await Watch(_isAtStart ? TableWatch.Begin : TableWatch.GoOn);
        _isAtStart = false;

        // After it, because what is stored later is remembered. Once rows were merged, only the store knows which.
        _hasNoStates = progress.Backfill is { Run: 1, Kind: BackfillKind.Initial or BackfillKind.Rows } && !_hasMerged && !await store.HasStates(_tableId, stop);
        return true;
    }

    /// <summary>Makes the partitions remember nothing of the table any more.</summary>
    public Task<bool> Unwatch() => _tableId == 0 ? Task.FromResult(true) : progress.Read(() => Watch(TableWatch.End));

    /// <summary>Remembers that a leg has ended.</summary>
    public void LegEnded() => _isForgotten = true;

    /// <summary>Begins at the start of the table again. What was sent stays counted; the rows are read once more.</summary>
    /// <param name="reason">What was altered, as a part of a sentence.</param>
    /// <exception cref="BackfillProblemException">That was so too often.</exception>
    public async Task BeginAgain(string reason)
    {
        if (++_starts > MostStarts)
        {
            throw new BackfillProblemException(
                $"Table {progress.Table.Table} was begun {MostStarts} times, because it was altered again and again while it was read; the last time, {reason}. "
                + "Start another backfill of it when it is not being altered.");
        }

        progress.Table = progress.Table with { After = null, IsRead = false, SweptTo = null, Again = [], RowsDone = 0 };
        (_isAtStart, _last) = (true, null);
        await progress.Read(Plan);

        // Before the horizon of the next leg, which another table may take.
        await progress.Read(Watch);
        progress.Waiting = $"Table {progress.Table.Table} is read from its start again: {reason}.";
        await progress.Save();
    }

    /// <summary>Reads as much as one leg allows.</summary>
    /// <exception cref="LegEndedException">A new horizon is needed.</exception>
    public async Task Run(BackfillLeg leg)
    {
        // A partition may have moved between two legs without this table having noticed.
        _isForgotten |= _leg is not null && !_leg.Generations.SequenceEqual(leg.Generations);
        _leg = leg;
        _reached = Task.CompletedTask;
        await progress.Read(Watch);
        if (!progress.Table.IsRead)
            await ReadInOrder();
        if (progress.Backfill.Kind is BackfillKind.Repair or BackfillKind.Verify && progress.Table is { Where: null, Keys: null, SweptTo: not Swept })
            await Sweep();
        await ReadAgain();
    }

    /// <summary>Stands for the end of all stored keys.</summary>
    private const string Swept = "\uffff";

    private async Task ReadInOrder()
    {
        var merging = new Queue<Merging>();
        var after = progress.Table.After;
        var (isRead, isHeld) = (false, false);
        TableChunk? end = null;
        Exception? failure = null;
        try
        {
            while (!isRead || merging.Count > 0)
            {
                if (isHeld && merging.Count == 0)
                {
                    await progress.While(shared.Order.MayEnd(progress.Table));
                    isHeld = false;
                }

                // The row that is marked as the last one of the backfill goes after all others.
                if (end is not null && merging.Count == 0)
                {
                    isRead = true;
                    merging.Enqueue(new Merging(end.Rows.Count, null, isRead, await Merge(end with { Rows = [end.Rows[^1]] }, isLast: true, hasNoStates: _hasNoStates)));
                    end = null;
                    continue;
                }

                // What is being merged is not kept waiting for the turn. While a partition has no memory for it, no more is read.
                var mayRead = !isRead && !isHeld && end is null && merging.Count < MostMerging;
                if (mayRead && (merging.Count == 0 || (Volatile.Read(ref _refused) == 0 && await shared.Turn.IsHere(progress))))
                {
                    try
                    {
                        var chunk = await Read(after, null);

                        // Meanwhile there may be more rows, so these are read again then.
                        isHeld = chunk.Next is null && !shared.Order.MayEnd(progress.Table).IsCompleted;
                        if (isHeld)
                            continue;
                        await shared.Pace.Take(chunk.Rows.Count);
                        var isFirst = after is null;
                        if (chunk.Next is null && chunk.Rows.Count > 0 && shared.Order.HasLast(progress.Table))
                        {
                            // They count with the last one, because they are read again if it fails.
                            merging.Enqueue(new Merging(0, null, isRead, await Merge(chunk with { Rows = [.. chunk.Rows.SkipLast(1)] }, isFirst, hasNoStates: _hasNoStates)));
                            end = chunk;
                            continue;
                        }

                        var isEnd = chunk.Next is null;
                        merging.Enqueue(new Merging(chunk.Rows.Count, chunk.Next, isEnd, await Merge(chunk, isFirst, isLast: isEnd, _hasNoStates)));
                        (after, isRead) = (chunk.Next, isEnd);
                    }
                    catch (Exception exception) when (exception is CaptureException or BackfillProblemException or TableAlteredException)
                    {
                        // What was read before counts.
                        failure = exception;
                        isRead = true;
                    }

                    continue;
                }

                var merged = merging.Dequeue();
                var answered = await progress.While(merged.Answers);
                progress.Waiting = null;
                Count(answered, merged.Rows);
                progress.Table = progress.Table with { Again = [.. progress.Table.Again, .. answered.SelectMany(a => a.Again)] };
                progress.Table = progress.Table with { After = merged.After ?? progress.Table.After, IsRead = merged.IsRead };
                await progress.Save();
                shared.Order.Merged(progress.Table);
            }

            if (failure is not null)
                throw failure;
        }
        finally
        {
            foreach (var merged in merging)
                _ = merged.Answers.ContinueWith(static a => a.Exception, TaskScheduler.Default);
        }
    }

    // Every row that is stored must exist at the source. Those that do were merged already.
    private async Task Sweep()
    {
        while (true)
        {
            var held = await progress.Insist(() => replays.ReadKeys(progress.Backfill.Source, progress.Table.Table, progress.Table.SweptTo, MostKeys, stop));
            var again = await ReadKeys(held.Keys, KeyReading.Absence);
            progress.Table = progress.Table with { SweptTo = held.After ?? Swept, Again = [.. progress.Table.Again, .. again] };
            await progress.Save();
            if (held.After is null)
                return;
        }
    }

    // What still cannot be told is left for the next leg.
    private async Task ReadAgain()
    {
        var keys = progress.Table.Again;
        var later = new List<string>();
        while (keys.Count > 0)
        {
            string[] some = [.. keys.Take(MostKeys)];
            keys = [.. keys.Skip(MostKeys)];
            later.AddRange(await ReadKeys(some, progress.Table.Keys is null ? KeyReading.Again : KeyReading.Asked));
            progress.Table = progress.Table with { Again = [.. keys, .. later] };
            await progress.Save();
        }

        if (progress.Table.Again.Count == 0)
            await FindIncomplete();
        if (progress.Table.Again.Count > 0)
            return;
        progress.Table = progress.Table with { IsDone = true };
        await progress.Save();
        await Unwatch();
    }

    private async Task<bool> Watch(TableWatch watch)
    {
        await Task.WhenAll(Enumerable.Range(0, source.Partitions).Select(p => source.Watch(p, progress.Backfill.Id, _tableId, progress.Table.Table, watch)));
        return true;
    }

    // A change may have left values out that the chunk, which was merged before, does not have: one that gave a row another key. The partitions
    // know which; what one of them knew that has ended is found in the store.
    private async Task FindIncomplete()
    {
        if (_last is null && !_isForgotten)
            return;
        var fence = _last?.Fence ?? _leg!.Position;
        while (await progress.Read(() => source.HasReached(fence)) is { IsReached: false } reached)
            await progress.Wait(reached.Waiting, Retry);
        progress.Waiting = null;
        var taken = await progress.Read(async () =>
            await Task.WhenAll(Enumerable.Range(0, source.Partitions).Select(p => source.TakeIncomplete(p, _tableId))));
        if (taken.Contains(null))
            throw new TableAlteredException(Forgotten);
        var keys = taken.SelectMany(k => k!).ToHashSet(StringComparer.Ordinal);
        var generations = await progress.Read(async () => await Task.WhenAll(Enumerable.Range(0, source.Partitions).Select(source.Generation)));
        if (_isForgotten || !generations.SequenceEqual(_leg!.Generations))
        {
            for (string? after = null; ;)
            {
                var from = after;
                var held = await progress.While(progress.Insist(() => replays.ReadIncomplete(progress.Backfill.Source, progress.Table.Table, from, MostLookedAt, stop)));
                keys.UnionWith(held.Keys);
                if ((after = held.After) is null)
                    break;
            }
        }

        progress.Table = progress.Table with { Again = [.. keys] };
        _last = null;
        _isForgotten = false;
    }

    // Returns the keys that cannot be told yet.
    private async Task<IReadOnlyList<string>> ReadKeys(IReadOnlyList<string> keys, KeyReading why)
    {
        var left = new List<string>(keys);
        var again = new List<string>();
        while (left.Count > 0)
        {
            var chunk = await Read(null, left);
            await shared.Pace.Take(chunk.Rows.Count);
            var told = chunk.Rows.Select(r => r.Entity.Key).Concat(chunk.Absent.Select(k => k.Key)).ToHashSet();
            if (left.RemoveAll(told.Contains) == 0)
                break;
            if (why == KeyReading.Absence)
                chunk = chunk with { Rows = [] };
            var answers = await progress.While(await Merge(chunk));
            Count(answers, why == KeyReading.Asked ? chunk.Rows.Count + chunk.Absent.Count : 0);
            again.AddRange(answers.SelectMany(a => a.Again));
        }

        return again;
    }
}
