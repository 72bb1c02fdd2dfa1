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

/// <summary>
/// The director of <see cref="PartitionPlacement"/>. Orleans' own list of compatible silos is used only while this silo knows no active
/// one: it follows the membership later than <see cref="PartitionHomes"/>, so a partition that has just left would be placed here again.
/// </summary>
internal sealed class PartitionPlacementDirector(PartitionHomes homes, EntityAddresses addresses, GrainClassMap classes) : IPlacementDirector
{
    /// <inheritdoc />
    public Task<SiloAddress> OnAddActivation(PlacementStrategy strategy, PlacementTarget target, IPlacementContext context)
    {
        var (source, partition) = PartitionOf(target.GrainIdentity);
        return Task.FromResult(homes.Home(source, partition) ?? Compatible(source, partition, target, context));
    }

    private (string Source, int Partition) PartitionOf(GrainId grain)
    {
        var key = grain.Key.ToString()!;
        if (!EntityAddresses.IsEntity(classes, grain.Type))
            return PartitionKey.Parse(key);
        return addresses.TryPartitionOf(EntityId.Parse(key), out var source, out var partition)
            ? (source, partition)
            : throw new KeyNotFoundException($"No source '{EntityId.Parse(key).Source}' is configured on this silo.");
    }

    private static SiloAddress Compatible(string source, int partition, PlacementTarget target, IPlacementContext context)
    {
        var silos = context.GetCompatibleSilos(target);
        Array.Sort(silos);
        return PartitionHomes.Choose(source, partition, silos)!;
    }
}
