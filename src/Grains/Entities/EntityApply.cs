using CdcOrleans.Grains.Collections;
using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;

namespace CdcOrleans.Grains.Entities;

/// <summary>
/// One apply of an entity: the rule by which its changes are taken. It skips what is not newer than the state, completes the images
/// from the row, makes the events and the state that the entity has afterwards. An awake entity and a change that is applied in
/// passing use this same code; whoever runs it runs one apply of an entity at a time.
/// </summary>
internal sealed class EntityApply(IApplyOwner owner, EntityPresence presence, string source, string database, EntityState? state) : EventBatch
{
    /// <summary>Most changes in one apply, so that one hot entity cannot build an unbounded batch.</summary>
    private const int MostChanges = 1000;

    /// <summary>Bytes of changes after which an apply takes no more.</summary>
    private const int MostBytes = 1 << 20;

    private readonly EntityState? _before = state;
    private FirstAndRest<long> _places;
    private long _bytes;
    private long _grown;

    /// <summary>Who runs it.</summary>
    public IApplyOwner Owner { get; } = owner;

    /// <summary>What the partition knows of the entity.</summary>
    public EntityPresence Presence { get; } = presence;

    /// <summary>The state after the changes taken so far; null when there is none.</summary>
    public EntityState? Outcome { get; private set; } = state;

    /// <summary>Whether <see cref="Outcome"/> is another state than the one before.</summary>
    public bool IsChanged => !ReferenceEquals(Outcome, _before);

    /// <summary>Whether a change created the entity and is the only one that was taken.</summary>
    public bool IsLoneCreate { get; private set; }

    /// <summary>How many changes were taken.</summary>
    public int Count => _places.Count;

    /// <summary>How many of them had been applied before.</summary>
    public int Duplicates { get; private set; }

    /// <summary>Commit time of the newest change, in microseconds since 1970; 0 when all were duplicates.</summary>
    public long CommitMicros { get; private set; }

    /// <summary>Bytes that were taken from the <see cref="Budgets.GrowthBudget"/> for it; 0 when it needs few.</summary>
    public long Growth { get; init; }

    /// <summary>Whether no further change is to be taken.</summary>
    public bool IsFull => Count >= MostChanges || _bytes >= MostBytes || (Growth > 0 && _grown >= Growth);

    /// <summary>Bytes that the entity's activation keeps afterwards; 0 where there is no activation.</summary>
    public int Bytes { get; set; }

    /// <summary>Why a change could not be applied; null when all could.</summary>
    public string? Fault { get; private set; }

    /// <summary>
    /// Bytes that an apply of so many changes may need beyond those of the changes, at most: for each of them the row once more in the
    /// completed image, and twice in the event.
    /// </summary>
    public static long GrowthOf(EntityState? state, int changes)
    {
        var each = GrowthOfOne(state);
        return Math.Min(each * Math.Min(changes, MostChanges), each + MostBytes);
    }

    /// <summary>Takes the next change. When it throws, nothing of the change was taken.</summary>
    public void Take(in PendingChange pending)
    {
        var (change, plan, place) = pending;
        if (Outcome is not null && change.Version <= Outcome.Version)
        {
            Duplicates++;
            _places.Add(place);
            return;
        }

        var grown = GrowthOfOne(Outcome);
        var completed = ImageCompletion.Complete(change, Outcome, plan, source, database);
        Add(in completed, plan);
        _grown += grown;
        _bytes += change.Size + grown;
        Took(in pending, plan.Mode == EntityMode.Row ? completed.After : default);
    }

    /// <summary>
    /// Gives up on the next change: it becomes a dead letter for each sink, and of the row nothing is known any more. Later changes
    /// carry what the log carries.
    /// </summary>
    public void GiveUp(in PendingChange pending, string error)
    {
        Fault = error;
        GiveUp(pending.Change, pending.Plan, error);
        Took(in pending, default);
    }

    /// <summary>Place of the change that was taken as the n-th, from 0.</summary>
    public long Place(int index) => _places[index];

    /// <inheritdoc />
    protected override void Finished() => Owner.OnFinished(this);

    private static long GrowthOfOne(EntityState? state) => 3L * (state?.Row.Size ?? 0);

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
