using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Backfills;

/// <summary>
/// Reads one table: first all rows in order, then for a repair or verification the rows of all stored keys, and then the rows that a chunk
/// could not tell. Some chunks are merged while the next one is read.
/// </summary>
internal sealed class TableRunner(
    IBackfillStore store, IReplayStore replays, IChunkReader reader, IBackfillSource source, BackfillProgress progress, TimeProvider time,
    CancellationToken stop)
{
    private const string Forgotten = "its stored rows were forgotten, because rows may have changed without an event";

    private static readonly TimeSpan Retry = TimeSpan.FromMilliseconds(100);

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

    private readonly Pace _pace = new(progress.Backfill.Rate, time, stop);
    private readonly LaterTables _later = new(reader, progress, stop);
    private TableChunk? _last;
    private BackfillLeg _leg = null!;
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

    private BackfillScope Scope => LaterTables.ScopeOf(progress.Table);

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
        progress.Waiting = $"Table {progress.Table.Table} is read from its start again: {reason}.";
        await progress.Save();
    }

    /// <summary>Reads as much as one leg allows.</summary>
    /// <exception cref="LegEndedException">A new horizon is needed.</exception>
    public async Task Run(BackfillLeg leg)
    {
        _leg = leg;
        await progress.Read(Watch);
        _isAtStart = false;
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
        var merging = new Queue<(TableChunk Chunk, Task<ChunkAnswer[]> Answers)>();
        var after = progress.Table.After;
        var isRead = false;
        Exception? failure = null;
        try
        {
            while (!isRead || merging.Count > 0)
            {
                if (!isRead && merging.Count < MostMerging)
                {
                    try
                    {
                        var chunk = await Read(after, null);
                        await _pace.Take(chunk.Rows.Count);
                        merging.Enqueue((chunk, await Merge(chunk, isFirst: after is null, _hasNoStates)));
                        after = chunk.Next;
                        isRead = after is null;
                    }
                    catch (Exception exception) when (exception is CaptureException or BackfillProblemException or TableAlteredException)
                    {
                        // What was read before counts.
                        failure = exception;
                        isRead = true;
                    }

                    continue;
                }

                var (merged, answers) = merging.Dequeue();
                var answered = await progress.While(answers);
                progress.Waiting = null;
                Count(answered, merged.Rows.Count);
                progress.Table = progress.Table with { Again = [.. progress.Table.Again, .. answered.SelectMany(a => a.Again)] };
                progress.Table = progress.Table with { After = merged.Next ?? progress.Table.After, IsRead = merged.Next is null };
                await progress.Save();
            }

            if (failure is not null)
                throw failure;
        }
        finally
        {
            foreach (var (_, answers) in merging)
                _ = answers.ContinueWith(static a => a.Exception, TaskScheduler.Default);
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
        var fence = _last?.Snapshot.Fence ?? _leg.Position;
        while (await progress.Read(() => source.HasReached(fence)) is { IsReached: false } reached)
            await progress.Wait(reached.Waiting, Retry);
        progress.Waiting = null;
        var taken = await progress.Read(async () =>
            await Task.WhenAll(Enumerable.Range(0, source.Partitions).Select(p => source.TakeIncomplete(p, _tableId))));
        if (taken.Contains(null))
            throw new TableAlteredException(Forgotten);
        var keys = taken.SelectMany(k => k!).ToHashSet(StringComparer.Ordinal);
        var generations = await progress.Read(async () => await Task.WhenAll(Enumerable.Range(0, source.Partitions).Select(source.Generation)));
        if (_isForgotten || !generations.SequenceEqual(_leg.Generations))
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
            await _pace.Take(chunk.Rows.Count);
            var told = chunk.Rows.Select(r => r.Entity.Key).Concat(chunk.Absent.Select(k => k.Key)).ToHashSet();
            if (left.RemoveAll(told.Contains) == 0)
                break;
            if (why == KeyReading.Absence)
                chunk = chunk with { Rows = [] };
            var answers = await progress.While(await Merge(chunk, isFirst: false, hasNoStates: false));
            Count(answers, why == KeyReading.Asked ? chunk.Rows.Count + chunk.Absent.Count : 0);
            again.AddRange(answers.SelectMany(a => a.Again));
        }

        return again;
    }

    // Rows by their keys must be those of the table that was read in order.
    private async Task<TableChunk> Read(string? after, IReadOnlyList<string>? keys)
    {
        var request = new ChunkRequest
        {
            Scope = Scope, Relation = progress.Table.Relation, Horizon = _leg.Horizon, After = keys is null ? after : progress.Table.After, Keys = keys,
            Bounds = _pace.Bounds,
        };
        var chunk = await progress.Read(() => reader.Read(request, stop));
        if (chunk.Altered is { } altered)
            throw new TableAlteredException(altered);

        // Stored states have 32 bits of the ids since the horizon. Long before these could repeat, a new horizon is taken.
        return chunk.Snapshot.Snapshot.Xmax - _leg.Horizon.Xid <= MostIds ? chunk : throw new LegEndedException();
    }

    // The snapshot is stored first, because the states of the entities will refer to it.
    private async Task<Task<ChunkAnswer[]>> Merge(TableChunk chunk, bool isFirst, bool hasNoStates)
    {
        _last = chunk;
        _hasMerged = true;
        var isLastOfAll = progress.Backfill.Kind == BackfillKind.Initial && chunk is { Next: null, Rows.Count: > 0 } && !await _later.HaveRows(_leg.Horizon);
        var number = await progress.Insist(() => store.AddChunk(progress.Backfill.Source, chunk.Snapshot, stop));
        var stored = new StoredChunk(number, chunk.Snapshot);
        var at = new ChunkSlice.Place(progress.Backfill.Id, progress.Backfill.Run, progress.NextNumber());
        var slices = Rows(chunk, isFirst, isLastOfAll).GroupBy(r => r.Entity.Partition(source.Partitions)).Select(g => (Partition: g.Key, Slice: new ChunkSlice
        {
            At = at, Generation = _leg.Generations[g.Key], Kind = progress.Backfill.Kind, Table = chunk.Table, Chunk = stored, Horizon = _leg.Horizon,
            Position = _leg.Position, Rows = [.. g], HasNoStates = hasNoStates,
        })).ToList();
        return Task.WhenAll(slices.Select(s => Merge(s.Partition, s.Slice)));
    }

    private async Task<ChunkAnswer> Merge(int partition, ChunkSlice slice)
    {
        while (true)
        {
            stop.ThrowIfCancellationRequested();
            ChunkAnswer answer;
            try
            {
                answer = await source.Merge(partition, slice);
            }
#pragma warning disable CA1031 // The partition may be moving to another silo, or its silo may have failed.
            catch (Exception) when (!stop.IsCancellationRequested)
#pragma warning restore CA1031
            {
                throw new LegEndedException();
            }

            if (answer.Problem is { } problem)
                throw new BackfillProblemException(problem);
            if (answer.IsForgotten)
                throw new TableAlteredException(Forgotten);
            if (answer.MustReadAgain)
                throw new LegEndedException();
            if (answer.IsDone)
                return answer;

            progress.Waiting = answer.Waiting;

            // The partition has the rows; they need not be sent again.
            slice = slice with { Rows = [], HasRows = false };
        }
    }

    private IEnumerable<ChunkSlice.ReadRow> Rows(TableChunk chunk, bool isFirst, bool isLastOfAll)
    {
        for (var i = 0; i < chunk.Rows.Count; i++)
        {
            var row = chunk.Rows[i];
            if (row.Row.Size > MostOfRow)
            {
                throw new BackfillProblemException(
                    $"A row of {progress.Table.Table} is of {row.Row.Size} bytes and cannot be sent to its partition. Lower large_values.limit so that its longest values are left out, and start again.");
            }

            yield return new ChunkSlice.ReadRow
            {
                Entity = row.Entity, Row = row.Row, HasOmitted = row.HasOmitted, Mark = Mark(isFirst && i == 0, chunk.Next is null && i == chunk.Rows.Count - 1, isLastOfAll),
            };
        }

        foreach (var key in chunk.Absent)
            yield return new ChunkSlice.ReadRow { Entity = key, KeyRow = KeyRows.Of(chunk.Table, key.Key), Mark = SnapshotMark.Incremental };
    }

    private SnapshotMark Mark(bool isFirst, bool isLast, bool isLastOfAll)
    {
        if (progress.Backfill.Kind != BackfillKind.Initial)
            return SnapshotMark.Incremental;
        // A row can have several of them. The order is Debezium's.
        return (isFirst, isLast) switch
        {
            (_, true) when isLastOfAll => SnapshotMark.Last,
            (true, _) when progress.Table.Place == progress.Backfill.Tables[0].Place => SnapshotMark.First,
            (_, true) => SnapshotMark.LastInTable,
            (true, _) => SnapshotMark.FirstInTable,
            _ => SnapshotMark.Row,
        };
    }

    private void Count(ChunkAnswer[] answers, int rows) => progress.Table = progress.Table with
    {
        RowsDone = progress.Table.RowsDone + rows,
        Sent = progress.Table.Sent + answers.Sum(a => a.Sent),
        Unchanged = progress.Table.Unchanged + answers.Sum(a => a.Unchanged),
        Created = progress.Table.Created + answers.Sum(a => a.Created),
        Updated = progress.Table.Updated + answers.Sum(a => a.Updated),
        Deleted = progress.Table.Deleted + answers.Sum(a => a.Deleted),
        Parked = progress.Table.Parked + answers.Sum(a => a.Parked),
        Refused = progress.Table.Refused + answers.Sum(a => a.Refused),
    };

    /// <summary>Why rows are read by their keys.</summary>
    private enum KeyReading
    {
        /// <summary>A person asked for them.</summary>
        Asked,

        /// <summary>A chunk could not tell them.</summary>
        Again,

        /// <summary>Only whether they exist.</summary>
        Absence,
    }
}
