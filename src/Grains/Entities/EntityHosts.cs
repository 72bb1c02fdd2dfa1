using System.Collections.Concurrent;

namespace CdcOrleans.Grains.Entities;

/// <summary>The partitions that run on this silo. Their entities find them here. Safe for concurrent use.</summary>
internal sealed class EntityHosts
{
    private readonly ConcurrentDictionary<(string Source, int Partition), IEntityHost> _hosts = new();

    /// <summary>All partitions on this silo.</summary>
    public ICollection<IEntityHost> All => _hosts.Values;

    /// <summary>Adds a partition that started. It replaces an earlier activation.</summary>
    public void Add(string source, int partition, IEntityHost host) => _hosts[(source, partition)] = host;

    /// <summary>Removes a partition that ended.</summary>
    public void Remove(string source, int partition, IEntityHost host) =>
        _hosts.TryRemove(new KeyValuePair<(string, int), IEntityHost>((source, partition), host));

    /// <summary>Returns the partition; null when it does not run on this silo.</summary>
    public IEntityHost? Find(string source, int partition) => _hosts.TryGetValue((source, partition), out var host) && !host.IsEnded ? host : null;
}
