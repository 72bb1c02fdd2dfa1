using CdcOrleans.Grains.Partitions;

namespace CdcOrleans.Grains.Entities;

/// <summary>
/// Where an entity's apply runs: the one small interface between a partition and its entities. An implementation calls
/// <see cref="Partition.Run"/> exactly once for every dispatch; the partition never dispatches an entity that is being applied.
/// </summary>
internal interface IEntityDispatcher
{
    /// <summary>Has an entity take what waits for it.</summary>
    void Dispatch(Partition partition, Entity entity);
}

/// <summary>Runs applies in the partition's own turn: no message, no activation. The default.</summary>
internal sealed class HostedEntityDispatcher : IEntityDispatcher
{
    /// <inheritdoc />
    public void Dispatch(Partition partition, Entity entity) => partition.Run(entity);
}
