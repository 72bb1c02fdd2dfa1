using CdcOrleans.Grains.Budgets;
using CdcOrleans.Grains.Collections;
using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;

namespace CdcOrleans.Grains.Entities;

/// <summary>
/// One apply of an entity: it handles some of the entity's changes. It skips changes that are not newer than the state, completes their
/// images from the stored row, and makes the events and the new state. Awake entities and changes that are applied in passing use the same
/// code. The owner must run only one apply of an entity at a time.
/// </summary>
/// <param name="owner">The entity grain or the partition that runs the apply.</param>
/// <param name="presence">What the partition knows of the entity.</param>
/// <param name="source">Name of the source.</param>
/// <param name="database">Name of the captured database.</param>
/// <param name="state">The state before the apply; null when there is none.</param>
/// <param name="room">Bytes reserved for the apply in the <see cref="MemoryBudget"/>; 0 when it needs few.</param>
internal sealed class EntityApply(
    IApplyOwner owner, EntityPresence presence, string source, string database, EntityState? state, long room) : EventBatch(room)
{
    /// <summary>Most changes in one apply, so that an entity with many changes cannot make an unlimited batch.</summary>
    private const int MostChanges = 1000;

    /// <summary>Bytes after which an apply accepts no more changes.</summary>
    private const int MostBytes = 1 << 20;

    /// <summary>By how many bytes an apply may exceed what was reserved for it: its later changes may be larger than the first one.</summary>
    private const int Tolerance = 64 << 10;

    private readonly EntityState? _before = state;
    private FirstAndRest<long> _places;
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

    /// <summary>Number of changes handled, with those that were skipped.</summary>
    public int Count => _places.Count;

    /// <summary>Number of changes that were skipped because they had been applied before.</summary>
    public int Duplicates { get; private set; }

    /// <summary>Commit time of the newest change, in microseconds since 1970; 0 when all were duplicates.</summary>
    public long CommitMicros { get; private set; }

    /// <summary>Whether no further change may be added: one like the last would be too much.</summary>
    public bool IsFull => Count >= MostChanges || _bytes >= MostBytes || (Count > 0 && _usedRoom + _lastRoom > _mostRoom);

    /// <summary>Bytes that the entity's activation uses afterwards; 0 when there is no activation.</summary>
    public int Bytes { get; set; }

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
        if (Outcome is not null && change.Version <= Outcome.Version)
        {
            Duplicates++;
            _places.Add(place);
            return;
        }

        var stored = Outcome?.Row.Size ?? 0;
        var completed = ImageCompletion.Complete(change, Outcome, plan, source, database);
        Add(in completed, plan);
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
        Fault = error;
        GiveUp(pending.Change, pending.Plan, error);
        Took(in pending, default);
    }

    /// <summary>Returns the place of the n-th change, from 0, in the partition's sequence.</summary>
    public long Place(int index) => _places[index];

    /// <inheritdoc />
    protected override void Finished() => Owner.OnFinished(this);

    private void Took(in PendingChange pending, RowImage row)
    {
        var change = pending.Change;
        var deleted = change.Operation == ChangeOperation.Delete;
        IsLoneCreate = Count == 0 && change.Operation == ChangeOperation.Create;
        _places.Add(pending.Place);
        CommitMicros = change.Transaction.CommitMicros;
        Outcome = new EntityState(change.Version, change.Table, deleted ? default : row, deleted);
    }
}
