using CdcOrleans.Model.Entities;
using Orleans.Metadata;
using Orleans.Placement;
using Orleans.Runtime.Placement;

namespace CdcOrleans.Grains.Placement;

/// <summary>Places a partition, and its entities, on the partition's home (<see cref="PartitionHomes"/>).</summary>
[GenerateSerializer, Immutable, SuppressReferenceTracking]
internal sealed class PartitionPlacement : PlacementStrategy
{
    public static readonly PartitionPlacement Instance = new();
}

/// <summary>Marks grains placed by <see cref="PartitionPlacement"/>.</summary>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class PartitionPlacementAttribute() : PlacementAttribute(PartitionPlacement.Instance);

/// <inheritdoc cref="PartitionPlacement" />
internal sealed class PartitionPlacementDirector(EntityAddresses addresses, GrainClassMap classes) : IPlacementDirector
{
    /// <inheritdoc />
    public Task<SiloAddress> OnAddActivation(PlacementStrategy strategy, PlacementTarget target, IPlacementContext context)
    {
        var silos = context.GetCompatibleSilos(target);
        Array.Sort(silos);
        var key = target.GrainIdentity.Key.ToString()!;
        if (!EntityAddresses.IsEntity(classes, target.GrainIdentity.Type))
        {
            var (owner, index) = PartitionKey.Parse(key);
            return Task.FromResult(PartitionHomes.Choose(owner, index, silos)!);
        }

        if (!addresses.TryPartitionOf(EntityId.Parse(key), out var source, out var partition))
            throw new KeyNotFoundException($"No source '{EntityId.Parse(key).Source}' is configured on this silo.");
        return Task.FromResult(PartitionHomes.Choose(source, partition, silos)!);
    }
}
