using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;

namespace CdcOrleans.Grains.Entities;

/// <summary>
/// One entity: what it holds, the changes that wait for it, and the rule by which it takes them: one apply at a time, in version
/// order, none twice. Whoever runs it (the partition, or the entity's own activation) runs it alone.
/// </summary>
internal sealed class Entity
{
    /// <summary>Most changes in one apply, so that one hot entity cannot build an unbounded batch.</summary>
    private const int MostChanges = 1000;

    /// <summary>Bytes of changes after which an apply takes no more.</summary>
    private const int MostBytes = 1 << 20;

    private FirstAndRest<(RowChange Change, long Place)> _waiting;

    public Entity(EntityKey key, TablePlan plan)
    {
        Key = key;
        Plan = plan;
    }

    public EntityKey Key { get; }

    public TablePlan Plan { get; set; }

    /// <summary>The last applied state; null when the entity never existed.</summary>
    public EntityState? State { get; set; }

    /// <summary>Whether <see cref="State"/> is known, be it as "none".</summary>
    public bool IsLoaded { get; set; }

    /// <summary>Whether its state is being read.</summary>
    public bool IsLoading { get; set; }

    /// <summary>Whether an apply is under way.</summary>
    public bool IsApplying { get; set; }

    /// <summary>Bytes taken from the <see cref="Partitions.GrowthBudget"/> for the apply that is dispatched.</summary>
    public long Taken { get; set; }

    public int Waiting => _waiting.Count;

    /// <summary>Whether it may be let go from memory.</summary>
    public bool IsIdle => !IsApplying && !IsLoading && _waiting.Count == 0;

    /// <summary>Whether its only change here created it; see <see cref="EntityTable"/>.</summary>
    public bool IsCreated { get; set; }

    /// <summary>Neighbours in the partition's order of last use.</summary>
    public Entity? Newer { get; set; }

    /// <inheritdoc cref="Newer" />
    public Entity? Older { get; set; }

    /// <summary>Bytes it was last counted with.</summary>
    public int Counted { get; set; }

    /// <summary>Bytes it keeps in memory, roughly: the object, its place in the table, its key and its state.</summary>
    public int Size => 250 + (2 * Key.Key.Length) + (State?.Size ?? 0);

    /// <summary>
    /// Bytes that the next apply may need beyond those of its changes, at most: for each of them the held row once more in the completed
    /// one, and twice in the event.
    /// </summary>
    public long Growth
    {
        get
        {
            if (State is not { Row.Size: > 0 and var held })
                return 0;
            var each = 3L * held;
            return Math.Min(each * Math.Min(_waiting.Count, MostChanges), each + MostBytes);
        }
    }

    /// <summary>A change waits.</summary>
    public void Enqueue(RowChange change, long place) => _waiting.Add((change, place));

    /// <summary>
    /// Takes what waits: skips what is not newer than the state, completes images from it, formats events. The caller sends the
    /// batch unless it is empty, and sets <see cref="State"/> to the outcome when the sinks have answered.
    /// </summary>
    public void Apply(EntityApply apply, string source, string database)
    {
        var state = State;
        var bytes = 0L;
        var growth = 0L;
        var taken = 0;
        while (taken < _waiting.Count && taken < MostChanges && bytes < MostBytes && (apply.Growth == 0 || growth < apply.Growth))
        {
            var (change, place) = _waiting[taken++];
            apply.Took(place);
            if (state is not null && change.Version <= state.Version)
            {
                apply.Duplicates++;
                continue;
            }

            var completed = ImageCompletion.Complete(change, state, Plan, source, database);
            var grown = 3L * (state?.Row.Size ?? 0);
            growth += grown;
            bytes += change.Size + grown;
            apply.Add(in completed, Plan);
            apply.CommitMicros = change.Transaction.CommitMicros;
            var deleted = change.Operation == ChangeOperation.Delete;
            state = new EntityState(
                change.Version, change.Table, deleted || Plan.Mode != EntityMode.Row ? default : completed.After, deleted);
        }

        _waiting.RemoveFirst(taken);
        apply.Outcome = state;
    }
}
