using System.Collections.Concurrent;

namespace CdcOrleans.Grains.Entities;

/// <summary>The partitions that run on this silo, for their entities to find them. Safe for concurrent use.</summary>
internal sealed class EntityHosts
{
    private readonly ConcurrentDictionary<(string Source, int Partition), IEntityHost> _hosts = new();

    /// <summary>All of them.</summary>
    public ICollection<IEntityHost> All => _hosts.Values;

    /// <summary>A partition started; it takes the place of one that has ended.</summary>
    public void Add(string source, int partition, IEntityHost host) => _hosts[(source, partition)] = host;

    /// <summary>A partition ended.</summary>
    public void Remove(string source, int partition, IEntityHost host) =>
        _hosts.TryRemove(new KeyValuePair<(string, int), IEntityHost>((source, partition), host));

    /// <summary>The partition, where it runs on this silo; else null.</summary>
    public IEntityHost? Find(string source, int partition) => _hosts.TryGetValue((source, partition), out var host) && !host.IsEnded ? host : null;
}
