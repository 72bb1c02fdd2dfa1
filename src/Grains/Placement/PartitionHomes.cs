using System.Collections.Concurrent;
using System.IO.Hashing;
using System.Runtime.InteropServices;

namespace CdcOrleans.Grains.Placement;

/// <summary>
/// The silo that a partition and its entities belong to: a pure function of the cluster's active silos. When they change, partitions
/// that belong elsewhere are asked to move. While silos disagree, two may claim a partition: the store's generation decides.
/// </summary>
internal sealed class PartitionHomes : IAsyncDisposable
{
    private readonly IClusterMembershipService _membership;
    private readonly ILocalSiloDetails _local;
    private readonly ConcurrentDictionary<object, (string Source, int Partition, Action Leave)> _here = new(ReferenceEqualityComparer.Instance);
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private (MembershipVersion Version, SiloAddress[] Silos) _active = (MembershipVersion.MinValue, []);
    private Task? _watch;

    public PartitionHomes(IClusterMembershipService membership, ILocalSiloDetails local)
    {
        _membership = membership;
        _local = local;
    }

    /// <summary>Version of the membership that answers follow.</summary>
    public MembershipVersion Version => _membership.CurrentSnapshot.Version;

    /// <summary>Home of a partition; null while no silo is active.</summary>
    public SiloAddress? Home(string source, int partition) => Choose(source, partition, Active());

    /// <summary>Picks among candidates the silo that <see cref="Home"/> would pick, were these the active ones.</summary>
    public static SiloAddress? Choose(string source, int partition, SiloAddress[] sorted) =>
        sorted.Length == 0
            ? null
            : sorted[(int)((XxHash3.HashToUInt64(MemoryMarshal.AsBytes(source.AsSpan())) + (ulong)partition) % (ulong)sorted.Length)];

    /// <summary>A partition started here.</summary>
    public void Register(object grain, string source, int partition, Action leave)
    {
        _here[grain] = (source, partition, leave);
        lock (_gate)
            _watch ??= Task.Run(Watch);
    }

    /// <summary>A partition left.</summary>
    public void Unregister(object grain) => _here.TryRemove(grain, out _);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        if (_watch is not null)
            await _watch;
        _stop.Dispose();
    }

    private SiloAddress[] Active()
    {
        var snapshot = _membership.CurrentSnapshot;
        lock (_gate)
        {
            if (_active.Version != snapshot.Version)
                _active = (snapshot.Version, [.. snapshot.Members.Values.Where(m => m.Status == SiloStatus.Active).Select(m => m.SiloAddress).Order()]);
            return _active.Silos;
        }
    }

    private async Task Watch()
    {
        try
        {
            await foreach (var snapshot in _membership.MembershipUpdates.WithCancellation(_stop.Token))
            {
                if (snapshot.GetSiloStatus(_local.SiloAddress) != SiloStatus.Active)
                    continue;
                foreach (var (source, partition, leave) in _here.Values)
                {
                    if (Home(source, partition) is { } home && !home.Equals(_local.SiloAddress))
                        leave();
                }
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The silo stops.
        }
    }
}
