using CdcOrleans.Grains.Interfaces;
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
    IBackfillStore store, IReplayStore replays, IChunkReader reader, IBackfillSource source, TableProgress progress, SharedOfTables shared,
    CancellationToken stop)
{
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

    /// <summary>Largest row that can be sent to a partition.</summary>
    private const int MostOfRow = MessageLimits.MostOfChange;

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
        _tableId = plan.Table.TableId;
        if (progress.Table.Relation == 0)
            progress.Table = progress.Table with { Relation = plan.Table.RelationOid, RowsTotal = progress.Table.Keys?.Count ?? plan.EstimatedRows };
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
        await Watch(true);

        // After it, because what is stored later is remembered. Once rows were merged, only the store knows which.
        _hasNoStates = progress.Backfill is { Run: 1, Kind: BackfillKind.Initial or BackfillKind.Rows } && !_hasMerged && !await store.HasStates(_tableId, stop);
        return true;
    }

    /// <summary>Remembers that a leg has ended.</summary>
    public void LegEnded() => _isForgotten = true;

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
        CaptureException? failure = null;
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
                    TableChunk chunk;
                    try
                    {
                        chunk = await Read(after, null);
                    }
                    catch (CaptureException exception)
                    {
                        // What was read before counts.
                        failure = exception;
                        isRead = true;
                        continue;
                    }

                    // Meanwhile there may be more rows, so these are read again then.
                    isHeld = chunk.Next is null && !shared.Order.MayEnd(progress.Table).IsCompleted;
                    if (isHeld)
                        continue;
                    await shared.Pace.Take(chunk.Rows.Count);
                    var isFirst = after is null;
                    if (chunk.Next is null && chunk.Rows.Count > 0 && shared.Order.HasLast(progress.Table))
                    {
                        // They count with the last one, because they are read again if it fails.
                        end = chunk;
                        merging.Enqueue(new Merging(0, null, isRead, await Merge(chunk with { Rows = [.. chunk.Rows.SkipLast(1)] }, isFirst, hasNoStates: _hasNoStates)));
                        continue;
                    }

                    after = chunk.Next;
                    isRead = after is null;
                    merging.Enqueue(new Merging(chunk.Rows.Count, after, isRead, await Merge(chunk, isFirst, isLast: isRead, _hasNoStates)));
                    continue;
                }

                var merged = merging.Dequeue();
                var answered = await progress.While(merged.Answers);
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
        await progress.Read(() => Watch(false));
    }

    private async Task<bool> Watch(bool isWanted)
    {
        await Task.WhenAll(Enumerable.Range(0, source.Partitions).Select(p => source.Watch(p, progress.Backfill.Id, _tableId, progress.Table.Table, isWanted)));
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
        var keys = taken.SelectMany(k => k).ToHashSet(StringComparer.Ordinal);
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

    private async Task<TableChunk> Read(string? after, IReadOnlyList<string>? keys)
    {
        var request = new ChunkRequest
        {
            Scope = Scope, Relation = progress.Table.Relation, Horizon = _leg!.Horizon, After = after, Keys = keys,
            Bounds = shared.Pace.Bounds,
        };
        await shared.Turn.Await(progress);
        var chunk = await progress.Read(() => reader.Read(request, stop));

        // Stored states have 32 bits of the ids since the horizon. Long before these could repeat, a new horizon is taken.
        return chunk.Snapshot.Snapshot.Xmax - _leg!.Horizon.Xid <= MostIds ? chunk : throw new LegEndedException();
    }

    // The snapshot is stored first, because the states of the entities will refer to it.
    private async Task<Task<ChunkAnswer[]>> Merge(TableChunk chunk, bool isFirst = false, bool isLast = false, bool hasNoStates = false)
    {
        _last = chunk.Snapshot;
        _hasMerged = true;
        var number = await progress.Insist(() => store.AddChunk(progress.Backfill.Source, chunk.Snapshot, stop));
        var stored = new StoredChunk(number, chunk.Snapshot);
        var at = new ChunkSlice.Place(progress.Backfill.Id, progress.Backfill.Run, progress.NextNumber());
        var slices = Rows(chunk, isFirst, isLast).GroupBy(r => r.Entity.Partition(source.Partitions)).Select(g => (Partition: g.Key, Slice: new ChunkSlice
        {
            At = at, Generation = _leg!.Generations[g.Key], Kind = progress.Backfill.Kind, Table = chunk.Table, Chunk = stored, Horizon = _leg!.Horizon,
            Position = _leg!.Position, Rows = [.. g], HasNoStates = hasNoStates,
        })).ToList();
        return Merge(chunk, slices);
    }

    // Rows of a replica may have more than their snapshot says, so the entities must have all of it before.
    private async Task<ChunkAnswer[]> Merge(TableChunk chunk, IReadOnlyList<(int Partition, ChunkSlice Slice)> slices)
    {
        if (chunk.IsFromReplica)
            await (_reached = Reached(_reached, chunk.Snapshot.Fence));
        return await Task.WhenAll(slices.Select(s => Merge(s.Partition, s.Slice)));
    }

    // The fences ascend, so only one of them is asked for at a time.
    private async Task Reached(Task before, Lsn fence)
    {
        await before;
        var started = shared.Time.GetTimestamp();
        try
        {
            while (await source.HasReached(fence) is { IsReached: false } reached)
            {
                if (shared.Time.GetElapsedTime(started) >= Patience)
                    progress.Waiting = reached.Waiting;
                await Task.Delay(Retry, shared.Time, stop);
            }
        }
#pragma warning disable CA1031 // The reader may be moving to another silo, or its silo may have failed.
        catch (Exception) when (!stop.IsCancellationRequested)
#pragma warning restore CA1031
        {
            throw new LegEndedException();
        }
    }

    // Rows for which a partition has no memory are kept here until it asks for them.
    private async Task<ChunkAnswer> Merge(int partition, ChunkSlice slice)
    {
        var withoutRows = slice with { Rows = [], HasRows = false };
        var (next, isRefused) = (slice, false);
        try
        {
            while (true)
            {
                var answer = await Ask(partition, next);
                if (answer.IsDone)
                    return answer;
                if (answer.IsWaitingForRoom != isRefused && !answer.WantsRows)
                    Interlocked.Add(ref _refused, (isRefused = answer.IsWaitingForRoom) ? 1 : -1);
                if (!isRefused)
                    slice = withoutRows;
                next = answer.WantsRows ? slice : withoutRows;
            }
        }
        finally
        {
            if (isRefused)
                Interlocked.Decrement(ref _refused);
        }
    }

    private async Task<ChunkAnswer> Ask(int partition, ChunkSlice slice)
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
        return answer.MustReadAgain ? throw new LegEndedException() : answer;
    }

    private IEnumerable<ChunkSlice.ReadRow> Rows(TableChunk chunk, bool isFirst, bool isLast)
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
                Entity = row.Entity, Row = row.Row, HasOmitted = row.HasOmitted, Mark = shared.Order.MarkOf(progress.Table, isFirst && i == 0, isLast && i == chunk.Rows.Count - 1),
            };
        }

        foreach (var key in chunk.Absent)
            yield return new ChunkSlice.ReadRow { Entity = key, KeyRow = KeyRows.Of(chunk.Table, key.Key), Mark = SnapshotMark.Incremental };
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

    /// <summary>A chunk that is being merged.</summary>
    /// <param name="Rows">Number of its rows.</param>
    /// <param name="After">The place at which the next one begins; null when the place stays as it is.</param>
    /// <param name="IsRead">Whether all rows are read with it.</param>
    /// <param name="Answers">What the partitions say.</param>
    private readonly record struct Merging(int Rows, string? After, bool IsRead, Task<ChunkAnswer[]> Answers);

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
