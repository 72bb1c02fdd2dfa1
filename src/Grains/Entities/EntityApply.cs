using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Interfaces.Entities;

namespace CdcOrleans.Grains.Entities;

/// <summary>One apply of an entity: the changes it took, the events they made, the state they lead to.</summary>
internal sealed class EntityApply(Entity entity, Action<EntityApply> finished) : EventBatch
{
    public Entity Entity { get; } = entity;

    /// <summary>Places of the changes in the partition's sequence.</summary>
    public List<long> Places { get; } = new(1);

    /// <summary>How many of them had been applied before.</summary>
    public int Duplicates { get; set; }

    /// <summary>Commit time of the newest, in microseconds since 1970; 0 when all were duplicates.</summary>
    public long CommitMicros { get; set; }

    /// <summary>The state after the apply.</summary>
    public EntityState? Outcome { get; set; }

    /// <inheritdoc />
    protected override void Finished() => finished(this);
}
