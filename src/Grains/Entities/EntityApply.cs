using CdcOrleans.Grains.Budgets;
using CdcOrleans.Grains.Collections;
using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Entities;

/// <summary>
/// One apply of an entity: it handles some of the entity's changes. It skips changes that are not newer than the state, completes their
/// images from the stored row, and makes the events and the new state. Awake entities and changes that are applied in passing use the same
/// code. The owner must run only one apply of an entity at a time.
/// </summary>
/// <param name="owner">The entity grain or the partition that runs the apply.</param>
/// <param name="parked">Knows at which sinks the entity has parked events.</param>
/// <param name="presence">What the partition knows of the entity.</param>
/// <param name="source">Name of the source.</param>
/// <param name="database">Name of the captured database.</param>
/// <param name="state">The state before the apply; null when there is none.</param>
/// <param name="room">Bytes reserved for the apply in the <see cref="MemoryBudget"/>; 0 when it needs few.</param>
internal sealed class EntityApply(
    IApplyOwner owner, IParkedEntities parked, EntityPresence presence, string source, string database, EntityState? state, long room) : EventBatch(room)
{
    /// <summary>Most changes in one apply, so that an entity with many changes cannot make an unlimited batch.</summary>
    private const int MostChanges = 1000;

    /// <summary>Bytes after which an apply accepts no more changes.</summary>
    private const int MostBytes = 1 << 20;

    /// <summary>By how many bytes an apply may exceed what was reserved for it: its later changes may be larger than the first one.</summary>
    private const int Tolerance = 64 << 10;

    private readonly EntityState? _before = state;
    private FirstAndRest<long> _places;
    private List<(ReplayWork Work, ReplayedAs What)>? _replayed;
    private List<(BackfillWork Work, RowMerged What)>? _merged;
    private List<(BackfillWork Work, string Key)>? _again;
    private long _bytes;
    private readonly long _mostRoom = room + Tolerance;
    private long _usedRoom;
    private long _lastRoom;

    /// <summary>The entity grain or the partition that runs the apply.</summary>
    public IApplyOwner Owner { get; } = owner;

    /// <summary>What the partition knows of the entity.</summary>
    public EntityPresence Presence { get; } = presence;

    /// <summary>The state after the changes handled so far; null when there is none.</summary>
    public EntityState? Outcome { get; private set; } = state;

    /// <summary>Whether <see cref="Outcome"/> is another state than the one before.</summary>
    public bool IsChanged => !ReferenceEquals(Outcome, _before);

    /// <summary>Whether the apply has handled one change only, and this change created the entity.</summary>
    public bool IsLoneCreate { get; private set; }

    /// <summary>Number of changes handled, with those that were skipped, and of replays.</summary>
    public int Count => _places.Count;

    /// <summary>The replays for which the current row was looked at, each with what became of it.</summary>
    public IReadOnlyList<(ReplayWork Work, ReplayedAs What)> Replayed => _replayed ?? [];

    /// <summary>Number of the replays.</summary>
    public int Replays => _replayed?.Count ?? 0;

    /// <summary>Events of replays, and of rows of backfills, that no format could write.</summary>
    public int ReplayedUnformatted { get; private set; }

    /// <summary>The rows of backfills that it has merged, each with what became of it.</summary>
    public IReadOnlyList<(BackfillWork Work, RowMerged What)> Merged => _merged ?? [];

    /// <summary>Whether the row afterwards lacks values that the log has left out.</summary>
    public bool IsIncomplete => IsChanged && Outcome is { Deleted: false, Row.HasUnchanged: true };

    /// <summary>The keys of those that must be read again.</summary>
    public IReadOnlyList<(BackfillWork Work, string Key)> Again => _again ?? [];

    /// <summary>Number of the changes of the log among what it has handled.</summary>
    public int Changes => Count - Replays - (_merged?.Count ?? 0);

    /// <summary>Whether it has handled no change, but replays only. The state is then as before.</summary>
    public bool IsReplayOnly => _replayed is not null && Replays == Count;

    /// <summary>Number of changes that were skipped because they had been applied before.</summary>
    public int Duplicates { get; private set; }

    /// <summary>Commit time of the newest change, in microseconds since 1970; 0 when all were duplicates.</summary>
    public long CommitMicros { get; private set; }

    /// <summary>Whether no further change may be added: one like the last would be too much.</summary>
    public bool IsFull => Count >= MostChanges || _bytes >= MostBytes || (Count > 0 && _usedRoom + _lastRoom > _mostRoom);

    /// <summary>Bytes that the entity's activation uses afterwards; 0 when there is no activation.</summary>
    public int Bytes { get; set; }

    /// <inheritdoc />
    public override bool IsEnded => Owner.IsEnded;

    /// <summary>Whether a sink is done with it. The entity may then begin the next apply.</summary>
    public bool IsFirstDone { get; set; }

    /// <summary>Whether every event has an outcome at every sink.</summary>
    public bool IsFinished { get; set; }

    /// <summary>Why a change could not be applied; null when all could.</summary>
    public string? Fault { get; private set; }

    /// <summary>Returns the bytes that an apply of so many changes, which are like the given one, may need.</summary>
    public static long RoomFor(EntityState? state, in PendingChange first, int changes)
    {
        var each = first.Plan.RoomFor(state?.Row.Size ?? 0, first.Change);
        return Math.Min(each * Math.Min(changes, MostChanges), each + MostBytes);
    }

    /// <summary>Handles the next change. If it throws, the apply is as before, and the change is not part of it.</summary>
    public void Take(in PendingChange pending)
    {
        var (change, plan, place) = pending;
        if (plan.Replay is not null)
        {
            TakeReplay(in pending);
            return;
        }

        if (plan.Backfill is not null)
        {
            TakeRow(in pending);
            return;
        }

        if (Outcome is not null && (change.Version <= Outcome.Version || IsIncluded(change)))
        {
            Duplicates++;
            _places.Add(place);
            return;
        }

        var stored = Outcome?.Row.Size ?? 0;
        var completed = ImageCompletion.Complete(change, Outcome, plan, source, database);
        Add(in completed, plan);
        if (plan.HasJournal)
            Keep(in completed);
        _lastRoom = plan.RoomFor(stored, change);
        _usedRoom += _lastRoom;
        _bytes += change.Size + (3L * stored);
        Took(in pending, plan.Mode == EntityMode.Row ? completed.After : default);
    }

    /// <summary>
    /// Gives up on the next change. It becomes a dead letter for each sink, and the entity has no stored row afterwards. Images of later
    /// changes have only what the log contains.
    /// </summary>
    public void GiveUp(in PendingChange pending, string error)
    {
        if (pending.Plan.Replay is not null)
        {
            // It would read the current row again. Nothing of it was wrong, so only the replay is given up.
            GiveUp(pending.Change with { Version = Outcome?.Version ?? default }, pending.Plan, error);
            ReplayedUnformatted++;
            Looked(in pending, ReplayedAs.Sent);
            return;
        }

        if (pending.Plan.Backfill is not null)
        {
            GiveUp(pending.Change, pending.Plan, error);
            ReplayedUnformatted++;
            Merge(in pending, RowMerged.Sent);
            return;
        }

        Fault = error;
        GiveUp(pending.Change, pending.Plan, error);

        // The change was committed all the same. The journal has of it what the log has.
        if (pending.Plan.HasJournal)
            Keep(ImageCompletion.Complete(pending.Change, null, pending.Plan, source, database));
        Took(in pending, default);
    }

    /// <summary>Returns the place of the n-th change, from 0, in the partition's sequence; <see cref="PendingChange.NoPlace"/> for a replay.</summary>
    public long Place(int index) => _places[index];

    /// <inheritdoc />
    public override void OnSettled(SinkShare share) => Owner.OnSettled(share);

    /// <inheritdoc />
    public override void OnAnsweredLate(SinkShare share) => Owner.OnAnsweredLate(share);

    /// <inheritdoc />
    protected override void Finished() => Owner.OnFinished(this);

    /// <inheritdoc />
    protected override void OnUnformatted(IReadOnlyList<DeadLetter> letters) => Owner.OnUnformatted(letters);

    /// <inheritdoc />
    protected override void FirstDone() => Owner.OnFirstDone(this);

    /// <inheritdoc />
    protected override bool IsParked(EntityKey entity, Outlet outlet) => parked.IsParked(entity, outlet);

    // The current row goes to the sink of the replay, after all changes that came before, and the state stays as it is.
    private void TakeReplay(in PendingChange pending)
    {
        if (Outcome is not { Deleted: false } current)
        {
            Looked(in pending, ReplayedAs.Absent);
            return;
        }

        if (!current.Row.IsPresent || current.IsDoubtful)
        {
            Looked(in pending, ReplayedAs.WithoutRow);
            return;
        }

        var unformatted = Unformatted;
        var completed = CurrentRow.Of(pending.Change.Entity, current, pending.Plan, source, database, EventOrigin.Replay, pending.Plan.Replay!.Now);
        Add(in completed, pending.Plan);
        ReplayedUnformatted += Unformatted - unformatted;
        _lastRoom = pending.Plan.RoomFor(current.Row.Size, pending.Change);
        _usedRoom += _lastRoom;
        _bytes += 2L * current.Row.Size;
        Looked(in pending, ReplayedAs.Sent);
    }

    // A chunk may have told the row with this change in it. Then the change makes no event, but its version is recorded.
    private bool IsIncluded(RowChange change)
    {
        if (Outcome!.Chunk is not { } chunk || !chunk.Snapshot.Includes(change.Version.CommitLsn, TransactionIds.Widen(change.Transaction.Xid, chunk.Snapshot.Snapshot.Xmax)))
            return false;
        Outcome = Outcome with { Version = change.Version, Xid = change.Transaction.Xid };
        return true;
    }

    // A row that was read, or the absence of one that was looked for, against what the entity knows.
    private void TakeRow(in PendingChange pending)
    {
        var (change, plan, _) = pending;
        var work = plan.Backfill!;
        var isRow = change.Operation == ChangeOperation.Read;
        var merge = EntityState.MergeOf(Outcome, work.Chunk.Snapshot.Snapshot.Xmax);
        if (Outcome is null && work.Truncation is { } truncation)
            merge = merge with { Version = truncation.Version, Xid = TransactionIds.Widen(truncation.Xid, work.Chunk.Snapshot.Snapshot.Xmax) };
        var decision = isRow
            ? BackfillMerge.OfRow(in merge, work.Chunk.Snapshot, work.Horizon)
            : BackfillMerge.OfAbsence(in merge, work.Chunk.Snapshot, work.Horizon);
        if (decision != ChunkDecision.Replace)
        {
            Merge(in pending, decision == ChunkDecision.Keep ? RowMerged.Unchanged : RowMerged.ReadAgain);
            return;
        }

        var what = BackfilledRow.Difference(Outcome, change, work.Kind);
        if (work.Kind == BackfillKind.Verify || (what == RowMerged.Unchanged && Outcome is { IsDoubtful: false }))
        {
            Merge(in pending, what);
            return;
        }

        var stored = Outcome?.Row.Size ?? 0;
        var version = Outcome is { } known && known.Version > change.Version ? known.Version : change.Version;
        var completed = BackfilledRow.Completed(change, version, Outcome, what, plan, source, database);
        if (what == RowMerged.Unchanged)
        {
            // The sinks have the row, and now it is known to be right.
            Outcome = BackfilledRow.State(in completed, Outcome, work, plan.Mode);
            Merge(in pending, what);
            return;
        }

        var unformatted = Unformatted;
        Add(in completed, plan);
        ReplayedUnformatted += Unformatted - unformatted;
        _lastRoom = plan.RoomFor(stored, change);
        _usedRoom += _lastRoom;
        _bytes += change.Size + (3L * stored);
        Outcome = BackfilledRow.State(in completed, Outcome, work, plan.Mode);
        Merge(in pending, what);
    }

    private void Merge(in PendingChange pending, RowMerged what)
    {
        (_merged ??= []).Add((pending.Plan.Backfill!, what));
        if (what == RowMerged.ReadAgain)
            (_again ??= []).Add((pending.Plan.Backfill!, pending.Change.Entity.Key));
        _places.Add(pending.Place);
    }

    private void Looked(in PendingChange pending, ReplayedAs what)
    {
        (_replayed ??= []).Add((pending.Plan.Replay!, what));
        _places.Add(pending.Place);
    }

    private void Took(in PendingChange pending, RowImage row)
    {
        var change = pending.Change;
        var deleted = change.Operation == ChangeOperation.Delete;
        IsLoneCreate = Count == 0 && change.Operation == ChangeOperation.Create;
        _places.Add(pending.Place);
        CommitMicros = change.Transaction.CommitMicros;
        Outcome = new EntityState(change.Version, change.Table, deleted ? default : row, deleted)
        {
            Xid = change.Transaction.Xid,

            // The stream is in order: when it has reached the fence, nothing of the chunk is still to come.
            Chunk = Outcome?.Chunk is { } chunk && !chunk.Snapshot.IsPassed(change.Version.CommitLsn) ? chunk : null,
        };
    }
}
