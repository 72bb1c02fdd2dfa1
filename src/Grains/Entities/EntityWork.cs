using CdcOrleans.Grains.Collections;
using CdcOrleans.Grains.Deliveries;

namespace CdcOrleans.Grains.Entities;

/// <summary>
/// Changes that a partition gives to an entity in one turn: one item on the entity's scheduler. Without changes, it only says that all
/// changes of the entity come to this activation from now on.
/// </summary>
internal sealed class EntityWork(EntityGrain entity, EntityPresence presence, FirstAndRest<PendingChange> changes)
{
    /// <summary>The sinks at which the entity has parked events; given with the first work of an activation only. Null for none.</summary>
    public IReadOnlyList<Outlet>? ParkedAt { get; init; }

    /// <summary>The activation that receives them.</summary>
    public EntityGrain Entity { get; } = entity;

    /// <summary>What the partition knows of the entity.</summary>
    public EntityPresence Presence { get; } = presence;

    /// <summary>The changes, in order.</summary>
    public FirstAndRest<PendingChange> Changes { get; } = changes;
}
