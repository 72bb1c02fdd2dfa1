using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;

namespace CdcOrleans.Grains.Backfills;

/// <content>How a chunk is read, and its rows are given to the partitions.</content>
internal sealed partial class TableRunner
{
    // Rows by their keys must be those of the table that was read in order.
    private async Task<TableChunk> Read(string? after, IReadOnlyList<string>? keys)
    {
        var request = new ChunkRequest
        {
            Scope = Scope, Relation = progress.Table.Relation, Horizon = _leg!.Horizon, After = keys is null ? after : progress.Table.After, Keys = keys,
            Bounds = shared.Pace.Bounds,
        };
        await shared.Turn.Await(progress);
        var chunk = await progress.Read(() => reader.Read(request, stop));
        if (chunk.Altered is { } altered)
            throw new TableAlteredException(altered);

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
                progress.Waiting = answer.Waiting;
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
        if (answer.IsForgotten)
            throw new TableAlteredException(Forgotten);
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
