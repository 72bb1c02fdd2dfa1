using CdcOrleans.Grains.Backfills;
using CdcOrleans.Grains.Entities;
using CdcOrleans.Grains.Interfaces;
using CdcOrleans.Grains.Interfaces.Calls;
using CdcOrleans.Grains.Operations;
using CdcOrleans.Grains.Placement;
using CdcOrleans.Grains.Runtime;
using CdcOrleans.Grains.Sources;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Orleans.Configuration;
using Orleans.Runtime.GrainDirectory;
using Orleans.Runtime.Hosting;

namespace CdcOrleans.Grains.Hosting;

/// <summary>Adds the pipeline's grains to a silo.</summary>
public static class GrainsHostingExtensions
{
    /// <summary>
    /// Adds WAL readers, partitions and entities. The service collection must also have a <c>PipelineConfiguration</c>, a capture
    /// factory, a checkpoint store, a schema store, sinks, event formats and a row formatter.
    /// </summary>
    public static ISiloBuilder AddCdcPipeline(this ISiloBuilder silo)
    {
        ArgumentNullException.ThrowIfNull(silo);
        var services = silo.Services;
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<SinkPauses>();
        services.AddSingleton<SourceRuntimes>();
        services.AddSingleton<SinkBacklogs>();
        services.AddSingleton<SinkOperations>();
        services.AddSingleton<BackfillStarts>();
        services.AddSingleton<WalReaders>();
        services.AddSingleton<PartitionHomes>();
        services.AddSingleton<EntityAddresses>();
        services.AddSingleton<EntityHosts>();
        services.AddSingleton<IEntityWaker, GrainEntityWaker>();
        services.AddSingleton<IConfigureGrainTypeComponents, EntityGrainActivator>();
        services.AddSingleton<IGrainDirectoryCache, EntityDirectoryCache>();
        services.AddPlacementDirector<PartitionPlacement, PartitionPlacementDirector>();
        silo.AddGrainDirectory(EntityDirectory.Name, static (provider, _) => new EntityDirectory(provider.GetRequiredService<EntityAddresses>()));

        // The addresses of entities are computed, so there is little to cache. The cache allocates its whole size at the start.
        silo.Configure<GrainDirectoryOptions>(options => options.CacheSize = EntityDirectoryCache.Others);

        // The workload analysis visits every activation, and is not used here.
        silo.Configure<SiloMessagingOptions>(options =>
        {
            options.GrainWorkloadAnalysisPeriod = TimeSpan.Zero;
            options.MaxMessageBodySize = MessageLimits.MostBytes;

            // A call that was sent just when its silo was declared dead gets no answer (see CallPatience). The same is true for calls of
            // Orleans itself, with which it finds and places grains.
            options.SystemResponseTimeout = CallPatience.BriefTime;
            options.PlacementTimeout = 2 * options.SystemResponseTimeout;
        });
        services.AddHostedService<EntitySweeper>();
        services.AddHostedService<RetentionSweeper>();
        services.AddHostedService<JournalSweeper>();
        services.AddHostedService<PauseWatch>();
        services.AddHostedService<PipelineLifetime>();
        services.AddHostedService<ReplayKeeper>();
        services.AddHostedService<BackfillKeeper>();
        return silo;
    }
}
