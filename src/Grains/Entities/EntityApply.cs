using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Model.Entities;

namespace CdcOrleans.Grains.Entities;

/// <summary>One apply of an entity: the changes it took, the events they made, the state they lead to.</summary>
internal sealed class EntityApply(Entity entity, Action<EntityApply> finished) : EventBatch
{
    private FirstAndRest<long> _places;

    public Entity Entity { get; } = entity;

    /// <summary>How many changes it took.</summary>
    public int Count => _places.Count;

    /// <summary>How many of them had been applied before.</summary>
    public int Duplicates { get; set; }

    /// <summary>Commit time of the newest, in microseconds since 1970; 0 when all were duplicates.</summary>
    public long CommitMicros { get; set; }

    /// <summary>Bytes it took from the <see cref="Partitions.GrowthBudget"/>.</summary>
    public long Growth { get; set; }

    /// <summary>The state after the apply.</summary>
    public EntityState? Outcome { get; set; }

    /// <summary>It took the change at that place of the partition's sequence.</summary>
    public void Took(long place) => _places.Add(place);

    /// <summary>Place of the change that it took as its n-th, from 0.</summary>
    public long Place(int index) => _places[index];

    /// <inheritdoc />
    protected override void Finished() => finished(this);
}
