using CdcOrleans.Grains.Hosting;
using Orleans.Metadata;

namespace CdcOrleans.Grains.Entities;

/// <summary>Creates entity grains without reflection or a lifecycle.</summary>
internal sealed class EntityGrainActivator(IGrainFactory grains, SourceRuntimes sources, GrainClassMap classes)
    : IGrainActivator, IConfigureGrainTypeComponents
{
    /// <inheritdoc />
    public object CreateInstance(IGrainContext context) => new EntityGrain(context, grains, sources);

    /// <inheritdoc />
    public ValueTask DisposeInstance(IGrainContext context, object instance) => default;

    /// <inheritdoc />
    public void Configure(GrainType grainType, GrainProperties properties, GrainTypeSharedContext shared)
    {
        if (classes.TryGetGrainClass(grainType, out var grainClass) && grainClass == typeof(EntityGrain))
            shared.SetComponent<IGrainActivator>(this);
    }
}
