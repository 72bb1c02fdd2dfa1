using CdcOrleans.Model.Configuration;
using Orleans.Metadata;

namespace CdcOrleans.Grains.Entities;

/// <summary>Creates entity grains without reflection and without a lifecycle, so that an activation is cheap.</summary>
internal sealed class EntityGrainActivator(PipelineConfiguration configuration, EntityHosts hosts, IGrainFactory grains, GrainClassMap classes)
    : IGrainActivator, IConfigureGrainTypeComponents
{
    /// <inheritdoc />
    public object CreateInstance(IGrainContext context) => new EntityGrain(context, Partitions, hosts, grains);

    /// <inheritdoc />
    public ValueTask DisposeInstance(IGrainContext context, object instance) => default;

    /// <inheritdoc />
    public void Configure(GrainType grainType, GrainProperties properties, GrainTypeSharedContext shared)
    {
        if (classes.TryGetGrainClass(grainType, out var grainClass) && grainClass == typeof(EntityGrain))
            shared.SetComponent<IGrainActivator>(this);
    }

    private int Partitions(string source) => configuration.Sources.TryGetValue(source, out var found)
        ? found.Partitions
        : throw new KeyNotFoundException($"No source '{source}' is configured on this silo.");
}
