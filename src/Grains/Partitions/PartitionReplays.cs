using CdcOrleans.Grains.Checkpoints;
using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Entities;
using CdcOrleans.Grains.Interfaces.Replays;
using CdcOrleans.Grains.Runtime;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Grains.Partitions;

/// <summary>
/// The replays of a partition's entities, a few at a time. For current rows, it gives them to the roster as it gives changes, so that each
/// entity sends its row in its own order. For past changes, see <see cref="ParkedEntities.BeginHistory"/>. Runs on the partition's scheduler.
/// </summary>
/// <param name="source">The runtime of the source on this silo.</param>
/// <param name="roster">Gets the entities.</param>
/// <param name="parked">Sends past changes.</param>
/// <param name="buffer">Knows what is not durable.</param>
internal sealed class PartitionReplays(SourceRuntime source, EntityRoster roster, ParkedEntities parked, CheckpointBuffer buffer)
{
    /// <summary>Most entities of one part that are under way at a time.</summary>
    private const int MostUnderWay = 16;

    /// <summary>The same for past changes, which are read for all of them together.</summary>
    private const int MostHistories = 64;

    /// <summary>A part that nobody has asked for so long is given up.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly Dictionary<ReplaySlice.Place, ReplayWork> _works = [];
    private readonly HeldTables _tables = new();
    private bool _isStopped;

    /// <summary>Whether entities wait to be begun.</summary>
    public bool IsWaiting => _works.Count > 0 && _works.Values.Any(w => w.Keys.Count > 0);

    /// <summary>Returns a part that was taken before; null when it was not.</summary>
    public ReplayWork? Find(ReplaySlice slice)
    {
        if (!_works.TryGetValue(slice.At, out var work))
            return null;
        work.AskedAt = source.Time.GetTimestamp();
        return work;
    }

    /// <summary>Takes a part.</summary>
    public ReplayWork Take(ReplaySlice slice, TableSchema table, SinkTarget target)
    {
        if (Find(slice) is { } known)
            return known;

        // Whoever runs the replay now has another number, or has gone on.
        foreach (var old in _works.Where(w => w.Key.Replay == slice.At.Replay && w.Key != slice.At).ToList())
            Drop(old.Key, old.Value);
        var work = new ReplayWork(target, source.Routes.Plan(table), source.Time)
        {
            AskedAt = source.Time.GetTimestamp(), Table = table, Journal = slice.Journal,
        };
        foreach (var key in slice.Keys ?? NotDurable(table.FullName))
            work.Keys.Enqueue(key);
        _works.Add(slice.At, work);
        if (work.Keys.Count == 0)
            work.Done.TrySetResult();
        return work;
    }

    /// <summary>Forgets a part whose end was answered.</summary>
    public void Answered(ReplaySlice slice) => _works.Remove(slice.At);

    /// <summary>Begins what may be begun. Called at the end of a turn, before the roster's.</summary>
    public void EndTurn()
    {
        if (_works.Count == 0 || _isStopped)
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
        var parked = 0;
        var refused = apply.ReplayedUnformatted;
        var isTrouble = refused > 0;
        foreach (var share in apply.Shares)
        {
            parked += share.Parked.Count(e => e.Origin == EventOrigin.Replay);
            refused += share.Refused.Count(e => e.Origin == EventOrigin.Replay);
        }

        isTrouble |= parked + refused > 0;
        foreach (var (work, what) in apply.Replayed)
        {
            work.UnderWay--;
            work.Finished[(int)what]++;
            work.NeedsCheckpoint |= isTrouble;
            EndIfDone(work);
        }

        if (apply.Replayed is [(var first, _), ..])
        {
            first.Parked += parked;
            first.Refused += refused;
        }
    }

    /// <summary>Takes a history that is finished. What it parked and gave up on is in the buffer.</summary>
    public void Finished(EntityHistory history)
    {
        var work = history.Work;
        work.UnderWay--;
        for (var what = 0; what < history.Finished.Length; what++)
            work.Finished[what] += history.Finished[what];
        if (history.Finished.All(f => f == 0))
            work.Finished[(int)ReplayedAs.Absent]++;
        work.Parked += history.Parked;
        work.Refused += history.Refused;
        work.NeedsCheckpoint |= history.Parked + history.Refused > 0;
        EndIfDone(work);
    }

    /// <summary>
    /// Begins no entity of some tables any more until <see cref="Release"/>, because their stored rows are about to be deleted. Completes when
    /// none is under way.
    /// </summary>
    public Task Hold(int[] tables) => _tables.Hold(tables);

    /// <summary>Goes on with some tables; null for all.</summary>
    public void Release(int[]? tables) => _tables.Release(tables);

    /// <summary>Begins no entity any more, because the partition leaves.</summary>
    public void Stop() => _isStopped = true;

    /// <summary>Gives up everything, because the partition ends.</summary>
    public void Close()
    {
        _isStopped = true;
        foreach (var work in _works.Values)
            work.Done.TrySetCanceled();
        _works.Clear();
        _tables.Close();
    }

    // While the sink is out of reach, one entity at a time goes, as a probe.
    private void Begin(ReplayWork work)
    {
        var outlet = work.Target.Outlet;
        var most = work.Journal is null ? MostUnderWay : MostHistories;
        while (work.Keys.Count > 0 && work.UnderWay < most && !outlet.IsShut && !_tables.IsHeld(work.Table.TableId))
        {
            if (outlet.IsOpen && work.UnderWay > 0)
                return;
            work.UnderWay++;
            _tables.Begun(work.Table.TableId);
            var entity = new EntityKey(work.Table.FullName, work.Keys.Dequeue());
            if (work.Journal is not null)
            {
                parked.BeginHistory(entity, work);
                continue;
            }

            var change = new RowChange
            {
                Operation = ChangeOperation.Read, Table = work.Table, Entity = entity, Version = ChangeVersion.None, Lsn = default, Transaction = NoTransaction,
            };
            roster.Take(new PendingChange(change, work.Plan, PendingChange.NoPlace));
        }
    }

    private static readonly SourceTransaction NoTransaction = new() { CommitLsn = default, Xid = 0, CommitMicros = 0 };

    // The store does not know these entities yet, or not their newest row, so whoever reads the store does not find them.
    private IReadOnlyList<string> NotDurable(string table) => [.. roster.Busy(table).Concat(buffer.UnsavedKeys(table)).Distinct()];

    private async Task Complete(ReplayWork work)
    {
        try
        {
            if (work.NeedsCheckpoint)
                await buffer.WhenDurable().ConfigureAwait(false);
            work.Done.TrySetResult();
        }
        catch (OperationCanceledException)
        {
            work.Done.TrySetCanceled();
        }
    }

    // What is under way goes on.
    private void Drop(ReplaySlice.Place at, ReplayWork work)
    {
        work.Keys.Clear();
        work.Done.TrySetCanceled();
        _works.Remove(at);
    }

    private void EndIfDone(ReplayWork work)
    {
        _tables.Finished(work.Table.TableId);
        if (work is { UnderWay: 0, Keys.Count: 0 })
            _ = Complete(work);
    }
}
