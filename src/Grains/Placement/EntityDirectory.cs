using System.Diagnostics.CodeAnalysis;
using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using Orleans.Configuration;
using Orleans.GrainDirectory;
using Orleans.Metadata;
using Orleans.Runtime.GrainDirectory;

namespace CdcOrleans.Grains.Placement;

/// <summary>
/// The grain directory of entities. Addresses are computed and not stored: an entity is on the silo of its partition. So entities need no
/// registration, and no registration is lost when a silo leaves. If two silos run the same entity during a membership change, the store
/// accepts writes only from the newer activation of its partition.
/// </summary>
internal sealed class EntityDirectory(EntityAddresses addresses) : IGrainDirectory
{
    /// <summary>The name by which grains refer to it.</summary>
    public const string Name = "cdc-entities";

    /// <inheritdoc />
    public Task<GrainAddress?> Lookup(GrainId grainId) => Task.FromResult(addresses.Find(grainId));

    /// <inheritdoc />
    public Task<GrainAddress?> Register(GrainAddress address) => Register(address, null);

    /// <inheritdoc />
    public Task<GrainAddress?> Register(GrainAddress address, GrainAddress? previousAddress)
    {
        // On its home silo an activation is accepted. On another silo the answer is the home, and the activation forwards its calls there.
        var home = addresses.Find(address.GrainId);
        return Task.FromResult<GrainAddress?>(home is null || home.SiloAddress!.Equals(address.SiloAddress) ? address : home);
    }

    /// <inheritdoc />
    public Task Unregister(GrainAddress address) => Task.CompletedTask;

    /// <inheritdoc />
    public Task UnregisterSilos(List<SiloAddress> siloAddresses) => Task.CompletedTask;
}

/// <summary>Computes the addresses of entities. Safe for concurrent use.</summary>
internal sealed class EntityAddresses(PartitionHomes homes, PipelineConfiguration configuration)
{
    // A lookup needs only the silo. The receiving silo finds or creates the activation by the grain id.
    private static readonly ActivationId AnyActivation = ActivationId.NewId();

    /// <summary>Returns the address of an entity; null while no silo is active, and for a source that is not configured.</summary>
    public GrainAddress? Find(GrainId grainId)
    {
        if (!TryPartitionOf(EntityId.Parse(grainId.Key.ToString()!), out var source, out var partition)
            || homes.Home(source, partition) is not { } home)
            return null;
        return new GrainAddress { GrainId = grainId, ActivationId = AnyActivation, SiloAddress = home, MembershipVersion = homes.Version };
    }

    /// <summary>Returns source and partition of an entity; false for a source that is not configured.</summary>
    public bool TryPartitionOf(EntityId id, [NotNullWhen(true)] out string? source, out int partition)
    {
        source = null;
        partition = 0;
        if (!configuration.Sources.TryGetValue(id.Source, out var found))
            return false;
        source = id.Source;
        partition = id.Key.Partition(found.Partitions);
        return true;
    }

    /// <summary>Whether a grain type is the type of entities.</summary>
    public static bool IsEntity(GrainClassMap classes, GrainType type) =>
        classes.TryGetGrainClass(type, out var grain) && typeof(IEntityGrain).IsAssignableFrom(grain);
}

/// <summary>Computes the addresses of entities, and uses Orleans' own cache for all other grains.</summary>
internal sealed class EntityDirectoryCache : IGrainDirectoryCache
{
    /// <summary>Number of addresses in the cache for other grains, which are mostly readers and partitions.</summary>
    public const int Others = 20_000;

    private readonly EntityAddresses _addresses;
    private readonly GrainClassMap _classes;
    private readonly IGrainDirectoryCache _others;
    private GrainType _entityType;

    public EntityDirectoryCache(IServiceProvider services, EntityAddresses addresses, GrainClassMap classes)
    {
        _addresses = addresses;
        _classes = classes;
        _others = GrainDirectoryCacheFactory.CreateGrainDirectoryCache(services, new GrainDirectoryOptions { CachingStrategy = GrainDirectoryOptions.CachingStrategyType.LRU, CacheSize = Others });
    }

    /// <inheritdoc />
    public IEnumerable<(GrainAddress ActivationAddress, int Version)> KeyValues => _others.KeyValues;

    /// <inheritdoc />
    public void AddOrUpdate(GrainAddress value, int version)
    {
        if (!IsEntity(value.GrainId))
            _others.AddOrUpdate(value, version);
    }

    /// <inheritdoc />
    public bool Remove(GrainId key) => !IsEntity(key) && _others.Remove(key);

    /// <inheritdoc />
    public bool Remove(GrainAddress key) => !IsEntity(key.GrainId) && _others.Remove(key);

    /// <inheritdoc />
    public void Clear() => _others.Clear();

    /// <inheritdoc />
    public bool LookUp(GrainId key, [NotNullWhen(true)] out GrainAddress? result, out int version)
    {
        if (!IsEntity(key))
            return _others.LookUp(key, out result, out version);
        version = 0;
        result = _addresses.Find(key);
        return result is not null;
    }

    private bool IsEntity(GrainId id)
    {
        if (!_entityType.IsDefault)
            return id.Type == _entityType;
        if (!EntityAddresses.IsEntity(_classes, id.Type))
            return false;
        _entityType = id.Type;
        return true;
    }
}
