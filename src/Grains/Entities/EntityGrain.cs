using CdcOrleans.Grains.Hosting;
using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Grains.Partitions;
using CdcOrleans.Grains.Placement;
using CdcOrleans.Model.Entities;

namespace CdcOrleans.Grains.Entities;

/// <summary>
/// The entity's address in the cluster: an activation for whoever sends it a message, on its partition's silo. The partition hosts
/// the entity itself and is its one writer; the activation is the way to it. A plain object, created by
/// <see cref="EntityGrainActivator"/>, registered nowhere: its silo is computed (<see cref="EntityDirectory"/>).
/// </summary>
[Orleans.GrainDirectory.GrainDirectory(EntityDirectory.Name)]
[PartitionPlacement]
internal sealed class EntityGrain(IGrainContext context, IGrainFactory grains, SourceRuntimes sources) : IGrainBase, IEntityGrain
{
    private IPartitionGrain? _partition;
    private EntityKey _key;

    /// <inheritdoc />
    public IGrainContext GrainContext => context;

    /// <inheritdoc />
    public ValueTask<EntityView?> GetState()
    {
        if (_partition is null)
        {
            var id = EntityId.Parse(context.GrainId.Key.ToString()!);
            _key = id.Key;
            _partition = grains.GetGrain<IPartitionGrain>(
                PartitionKey.For(id.Source, id.Key.Partition(sources.Get(id.Source).Configuration.Partitions)));
        }

        return _partition.ReadEntity(_key);
    }
}
