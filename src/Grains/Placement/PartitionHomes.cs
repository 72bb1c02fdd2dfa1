using System.Collections.Concurrent;
using System.IO.Hashing;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Grains.Placement;

/// <summary>
/// Computes the home of a partition: the silo on which the partition and its entities run. It depends only on the active silos of the
/// cluster. When they change, partitions whose home is another silo are asked to leave. While silos have different views of the cluster,
/// two may run the same partition; then the generation in the store decides. Safe for concurrent use.
/// </summary>
internal sealed partial class PartitionHomes : IAsyncDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private readonly IClusterMembershipService _membership;
    private readonly ILocalSiloDetails _local;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ConcurrentDictionary<object, (string Source, int Partition, Action Leave)> _here = new(ReferenceEqualityComparer.Instance);
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private (MembershipVersion Version, SiloAddress[] Silos) _active = (MembershipVersion.MinValue, []);
    private Task? _watch;

    public PartitionHomes(IClusterMembershipService membership, ILocalSiloDetails local, TimeProvider time, ILogger<PartitionHomes> logger)
    {
        _membership = membership;
        _local = local;
        _time = time;
        _logger = logger;
    }

    /// <summary>Version of the membership that the answers are based on.</summary>
    public MembershipVersion Version => _membership.CurrentSnapshot.Version;

    /// <summary>Returns the home of a partition; null while no silo is active.</summary>
    public SiloAddress? Home(string source, int partition) => Choose(source, partition, Active());

    /// <summary>Returns the home of a partition among the given silos, which must be sorted; null when there are none.</summary>
    public static SiloAddress? Choose(string source, int partition, SiloAddress[] sorted) =>
        sorted.Length == 0
            ? null
            : sorted[(int)((XxHash3.HashToUInt64(MemoryMarshal.AsBytes(source.AsSpan())) + (ulong)partition) % (ulong)sorted.Length)];

    /// <summary>
    /// Returns the home of a partition if it is another silo and this silo is active; otherwise null. Then the partition must not run here:
    /// its entities are looked up at its home.
    /// </summary>
    public SiloAddress? HomeElsewhere(string source, int partition) =>
        _membership.CurrentSnapshot.GetSiloStatus(_local.SiloAddress) == SiloStatus.Active
        && Home(source, partition) is { } home && !home.Equals(_local.SiloAddress)
            ? home
            : null;

    /// <summary>Returns the active silos of a membership, in any order.</summary>
    public static IEnumerable<SiloAddress> ActiveIn(ClusterMembershipSnapshot membership) =>
        membership.Members.Values.Where(m => m.Status == SiloStatus.Active).Select(m => m.SiloAddress);

    /// <summary>Adds a partition that started on this silo.</summary>
    /// <param name="grain">The partition's grain.</param>
    /// <param name="source">Name of the source.</param>
    /// <param name="partition">The partition's number.</param>
    /// <param name="leave">Called from any thread when its home is another silo, also when the home has changed before this call.</param>
    public void Register(object grain, string source, int partition, Action leave)
    {
        _here[grain] = (source, partition, leave);
        lock (_gate)
            _watch ??= Task.Run(Watch);
        if (HomeElsewhere(source, partition) is not null)
            leave();
    }

    /// <summary>Removes a partition that left this silo.</summary>
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
                _active = (snapshot.Version, [.. ActiveIn(snapshot).Order()]);
            return _active.Silos;
        }
    }

    // Partitions that are not asked to leave would stay away from their entities. So the watch goes on after any error.
    private async Task Watch()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await foreach (var _ in _membership.MembershipUpdates.WithCancellation(_stop.Token))
                    AskToLeave();
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
#pragma warning disable CA1031 // See above.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                LogBroken(_logger, exception);
            }

            await Task.Delay(Pause, _time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            AskToLeave();
        }
    }

    private void AskToLeave()
    {
        foreach (var (source, partition, leave) in _here.Values)
        {
            if (HomeElsewhere(source, partition) is not null)
                leave();
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "The watch of the cluster's silos failed and goes on")]
    private static partial void LogBroken(ILogger logger, Exception exception);
}
