using CdcOrleans.Grains.Budgets;
using CdcOrleans.Model.Entities;

namespace CdcOrleans.Grains.Checkpoints;

/// <summary>How long a state stays in memory once it is durable. An awake entity has it besides, and may be put to sleep at any time.</summary>
internal enum Retention : byte
{
    /// <summary>For a short time: the entity was just created.</summary>
    Created,

    /// <summary>For a longer time: the entity existed before.</summary>
    Used,
}

/// <summary>
/// The durable states of a partition that were written recently, in two shares of the entity budget, one for each <see cref="Retention"/>.
/// Not safe for concurrent use.
/// </summary>
internal sealed class RetainedStates(EntityBudget budget)
{
    private readonly RecentStates _created = new(budget.CreatedShare);
    private readonly RecentStates _used = new(budget.UsedShare);
    private long _counted;

    /// <summary>Returns the state of an entity; null when it is not here.</summary>
    public EntityState? Find(EntityKey key) => _used.Find(key) ?? _created.Find(key);

    /// <summary>Adds states. <see cref="Count"/> must be called after the last one.</summary>
    public void Add(EntityKey key, EntityState state, Retention retention)
    {
        // An entity is in at most one of the two, with its newest durable state.
        var (into, outOf) = retention == Retention.Used ? (_used, _created) : (_created, _used);
        into.Add(key, state);
        outOf.Remove(key);
    }

    /// <summary>Removes the states that match a condition.</summary>
    public void Remove(Func<EntityKey, EntityState, bool> isMeant)
    {
        _created.Remove(isMeant);
        _used.Remove(isMeant);
        Count();
    }

    /// <summary>Removes all states.</summary>
    public void Clear()
    {
        _created.Clear();
        _used.Clear();
        Count();
    }

    /// <summary>Counts the bytes in the budget.</summary>
    public void Count()
    {
        var bytes = _created.Bytes + _used.Bytes;
        budget.Add(bytes - _counted);
        _counted = bytes;
    }
}
