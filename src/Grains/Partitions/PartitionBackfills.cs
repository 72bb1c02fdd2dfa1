using CdcOrleans.Grains.Checkpoints;
using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Entities;
using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Grains.Runtime;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Grains.Partitions;

/// <summary>
/// The rows of backfills that a partition's entities merge, some at a time. It gives them to the roster as it gives changes, so that each
/// entity merges its row in its own order. Runs on the partition's scheduler.
/// </summary>
/// <param name="source">The runtime of the source on this silo.</param>
/// <param name="roster">Gets the rows.</param>
/// <param name="buffer">Knows what is not durable.</param>
/// <param name="accepted">Version of the last change that the partition has accepted.</param>
/// <param name="fence">The highest fence of the chunks before.</param>
internal sealed class PartitionBackfills(SourceRuntime source, EntityRoster roster, CheckpointBuffer buffer, Func<ChangeVersion> accepted, Lsn fence)
{
    /// <summary>Most rows of one chunk that are under way at a time.</summary>
    private const int MostUnderWay = 128;

    /// <summary>Rows that nobody has asked for so long are given up.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly Dictionary<ChunkSlice.Place, BackfillWork> _works = [];
    private readonly Dictionary<ChunkSlice.Place, RowsRoom> _rooms = [];
    private readonly HashSet<BackfillWork> _withRoom = [];
    private readonly Dictionary<int, Truncation> _truncations = [];
    private readonly Dictionary<int, Lsn> _forgotten = [];

    private readonly Dictionary<int, WatchedTable> _watched = [];
    private readonly HeldTables _tables = new();
    private bool _isStopped;

    /// <summary>
    /// A change that commits before it may be in the stored row of its entity already, even if that is an insert that the partition has not
    /// seen before.
    /// </summary>
    public Lsn Fence { get; private set; } = fence;

    /// <summary>Whether rows wait to be begun, or for room.</summary>
    public bool IsWaiting => _rooms.Count > 0 || (_works.Count > 0 && _works.Values.Any(w => w.Rows.Count > 0));

    /// <summary>Returns rows that were taken before; null when they were not.</summary>
    public BackfillWork? Find(ChunkSlice.Place at)
    {
        if (!_works.TryGetValue(at, out var work))
            return null;
        work.AskedAt = source.Time.GetTimestamp();
        return work;
    }

    /// <summary>
    /// Whether rows may have been read before their table's stored rows became invalid. It is certain of rows from behind a later horizon only: a
    /// replica may be far behind.
    /// </summary>
    public bool MayBeOutdated(ChunkSlice slice) => _forgotten.TryGetValue(slice.Table.TableId, out var forgotten) && slice.Horizon.Lsn <= forgotten;

    /// <summary>Returns the room for which rows wait, with which they may come back; null when nobody waits.</summary>
    public RowsRoom? FindRoom(ChunkSlice.Place at)
    {
        if (!_rooms.TryGetValue(at, out var room))
            return null;
        room.AskedAt = source.Time.GetTimestamp();
        return room;
    }

    /// <summary>Takes room for rows that are here. Returns null when they may be taken; otherwise the room for which they must wait elsewhere.</summary>
    public RowsRoom? TakeRoom(ChunkSlice slice)
    {
        if (FindRoom(slice.At) is not { } room)
        {
            DropOlder(slice.At);
            room = new RowsRoom(slice.Rows.Sum(r => r.Size)) { AskedAt = source.Time.GetTimestamp() };
            _rooms.Add(slice.At, room);
            if (source.Memory.TryTakeRows(room, room.Bytes))
                room.OnRoom(room.Bytes);
        }

        return room.Room.IsCompletedSuccessfully ? null : room;
    }

    /// <summary>Takes rows, with their room if they have some.</summary>
    public BackfillWork Take(ChunkSlice slice)
    {
        if (Find(slice.At) is { } known)
            return known;
        DropOlder(slice.At);
        var chunk = slice.Chunk;
        if (chunk.Snapshot.Fence > Fence)
            Fence = chunk.Snapshot.Fence;
        var work = new BackfillWork(chunk, slice.Horizon, slice.Kind, slice.Table, source.Routes.Plan(slice.Table))
        {
            AskedAt = source.Time.GetTimestamp(), Truncation = _truncations.GetValueOrDefault(slice.Table.TableId),
            Backfill = slice.At.Backfill, Watched = slice.HasNoStates ? _watched.GetValueOrDefault(slice.Table.TableId) : null,
        };
        var now = source.Time.GetUtcNow().ToUnixTimeMilliseconds() * 1000;
        var transaction = new SourceTransaction { CommitLsn = slice.Position, Xid = 0, CommitMicros = now };
        foreach (var row in slice.Rows)
            work.Rows.Enqueue(row.AsChange(slice.Table, chunk.Snapshot.Fence, transaction));
        _works.Add(slice.At, work);
        if (_rooms.Remove(slice.At, out var room) && room.End())
        {
            work.Room = room.Bytes;
            _withRoom.Add(work);
        }

        work.Position = new ChangeVersion(slice.Position, 0);
        if (work.Rows.Count == 0)
        {
            GiveBack(work);
            work.Done.TrySetResult();
        }

        return work;
    }

    /// <summary>Forgets rows whose end was answered.</summary>
    public void Answered(ChunkSlice.Place at) => _works.Remove(at);

    /// <summary>Watches a table from now on, or no more.</summary>
    public void Watch(long backfill, int table, string name, TableWatch watch)
    {
        if (watch == TableWatch.End)
        {
            if (_watched.Remove(table, out var ended))
                ended.End();
            return;
        }

        if (!_watched.TryGetValue(table, out var watched))
        {
            // What is not durable yet may become so just after the backfill has looked whether anything is stored.
            _watched.Add(table, watched = new WatchedTable(backfill));
            foreach (var key in buffer.UnsavedKeys(name))
                watched.Changed(key);
        }

        watched.Watch(backfill);
        if (watch == TableWatch.Begin)
            watched.IsForgotten = false;
    }

    /// <summary>Whether the stored rows of a table were forgotten since the watch began.</summary>
    public bool IsForgotten(int table) => _watched.TryGetValue(table, out var watched) && watched.IsForgotten;

    /// <summary>
    /// Returns the keys of the entities whose rows lack values, and forgets them; null when the stored rows were forgotten since the watch began.
    /// </summary>
    public string[]? TakeIncomplete(int table)
    {
        if (IsForgotten(table))
            return null;
        if (!_watched.TryGetValue(table, out var watched))
            return [];
        string[] taken = [.. watched.Incomplete];
        watched.Incomplete.Clear();
        return taken;
    }

    /// <summary>Begins what may be begun. Called at the end of a turn, before the roster's.</summary>
    public void EndTurn()
    {
        if (_isStopped)
            return;
        if (_rooms.Count > 0)
        {
            foreach (var (at, room) in _rooms.Where(r => source.Time.GetElapsedTime(r.Value.AskedAt) > Patience).ToList())
                Drop(at, room);
        }

        if (_works.Count == 0)
            return;
        foreach (var (at, work) in _works.ToList())
        {
            if (source.Time.GetElapsedTime(work.AskedAt) > Patience)
                Drop(at, work);
            else
                Begin(work);
        }
    }

    /// <summary>Takes an apply that is finished. What it parked and gave up on is in the buffer.</summary>
    public void Finished(EntityApply apply)
    {
        if (_watched.Count > 0 && apply is { IsChanged: true, Outcome: { } outcome } && _watched.TryGetValue(outcome.Table.TableId, out var watched))
        {
            var key = apply.Presence.Key.Key;
            if (apply.IsIncomplete)
                watched.Incomplete.Add(key);
            else
                watched.Incomplete.Remove(key);
            if (apply.Changes > 0)
                watched.Changed(key);
        }

        if (apply.Merged.Count == 0)
            return;
        var first = apply.Merged[0].Work;
        first.Refused += apply.ReplayedUnformatted;
        foreach (var share in apply.Shares)
        {
            first.Parked += share.Parked.Count(e => e.Origin == EventOrigin.Backfill);
            first.Refused += share.Refused.Count(e => e.Origin == EventOrigin.Backfill);
        }

        foreach (var (work, key) in apply.Again)
            work.Again.Add(key);
        foreach (var (work, what) in apply.Merged)
        {
            work.UnderWay--;
            work.Finished[(int)what]++;
            _tables.Finished(work.Table.TableId);
            if (work is { UnderWay: 0, Rows.Count: 0 })
            {
                GiveBack(work);
                _ = Complete(work);
            }
        }
    }

    /// <summary>Takes a truncation. The stored rows of the table are deleted.</summary>
    public void Truncated(int table, Truncation truncation)
    {
        _truncations[table] = truncation;
        foreach (var work in _works.Values.Where(w => w.Table.TableId == table))
            work.Truncation = truncation;
        _tables.Release([table]);
    }

    /// <summary>Gives up the rows of tables whose stored rows are not valid any more.</summary>
    public void Forget(int[] tables, ChangeVersion version)
    {
        foreach (var table in tables)
        {
            _forgotten[table] = version.CommitLsn;
            if (_watched.TryGetValue(table, out var watched))
                watched.IsForgotten = true;
        }

        foreach (var (at, work) in _works.Where(w => tables.Contains(w.Value.Table.TableId)).ToList())
            Drop(at, work);
        _tables.Release(tables);
    }

    /// <summary>
    /// Begins no row of some tables any more until <see cref="Release"/>, because their stored rows are about to be deleted. Completes when
    /// none is under way.
    /// </summary>
    public Task Hold(int[] tables) => _tables.Hold(tables);

    /// <summary>Goes on with all tables.</summary>
    public void Release() => _tables.Release(null);

    /// <summary>Begins no row any more, because the partition leaves.</summary>
    public void Stop() => _isStopped = true;

    /// <summary>Gives up everything, because the partition ends.</summary>
    public void Close()
    {
        _isStopped = true;
        foreach (var work in _works.Values)
            work.Done.TrySetCanceled();
        _works.Clear();
        foreach (var (at, room) in _rooms.ToList())
            Drop(at, room);
        foreach (var work in _withRoom.ToList())
            GiveBack(work);
        _tables.Close();
    }

    // The version of a row is the place of the partition in the stream: every change of the entity up to there was given to it before.
    private void Begin(BackfillWork work)
    {
        if (work.Rows.Count == 0 || work.UnderWay >= MostUnderWay || _tables.IsHeld(work.Table.TableId))
            return;
        var version = accepted() > work.Position ? accepted() : work.Position;
        while (work.UnderWay < MostUnderWay && work.Rows.TryDequeue(out var row))
        {
            work.UnderWay++;
            _tables.Begun(work.Table.TableId);
            roster.Take(new PendingChange(row with { Version = version }, work.Plan, PendingChange.NoPlace));
        }
    }

    private async Task Complete(BackfillWork work)
    {
        try
        {
            await buffer.WhenDurable().ConfigureAwait(false);
            work.Done.TrySetResult();
        }
        catch (OperationCanceledException)
        {
            work.Done.TrySetCanceled();
        }
    }

    // Whoever runs the backfill now has another number.
    private void DropOlder(ChunkSlice.Place at)
    {
        foreach (var old in _works.Where(w => w.Key.Backfill == at.Backfill && w.Key.Run != at.Run).ToList())
            Drop(old.Key, old.Value);
        foreach (var old in _rooms.Where(r => r.Key.Backfill == at.Backfill && r.Key.Run != at.Run).ToList())
            Drop(old.Key, old.Value);
    }

    // What is under way goes on, with its room.
    private void Drop(ChunkSlice.Place at, BackfillWork work)
    {
        work.Rows.Clear();
        if (work.UnderWay == 0)
            GiveBack(work);
        work.Done.TrySetCanceled();
        _works.Remove(at);
    }

    private void Drop(ChunkSlice.Place at, RowsRoom room)
    {
        if (room.End())
            source.Memory.GiveRows(room.Bytes);
        _rooms.Remove(at);
    }

    private void GiveBack(BackfillWork work)
    {
        if (_withRoom.Remove(work))
            source.Memory.GiveRows(work.Room);
    }
}
