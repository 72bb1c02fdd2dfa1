using System.Collections.Immutable;
using System.Net;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using CdcOrleans.Grains.Placement;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace CdcOrleans.Unit.Grains;

/// <summary>Where partitions live, and that those elsewhere are asked to move.</summary>
public sealed class PartitionHomesTests
{
    private static readonly SiloAddress[] Silos = [.. Enumerable.Range(1, 3).Select(i => SiloAddress.New(IPAddress.Loopback, 11110 + i, i))];

    [Fact]
    public void A_home_is_the_same_for_whoever_asks_and_all_silos_have_some()
    {
        var sorted = Silos.Order().ToArray();
        var homes = Enumerable.Range(0, 32).Select(p => PartitionHomes.Choose("shop", p, sorted)!).ToArray();
        Assert.Equal(homes, Enumerable.Range(0, 32).Select(p => PartitionHomes.Choose("shop", p, [.. sorted])!));
        Assert.All(Silos, silo => Assert.InRange(homes.Count(h => h.Equals(silo)), 10, 11));
        Assert.Null(PartitionHomes.Choose("shop", 0, []));
    }

    [Fact]
    public async Task Homes_follow_the_active_silos_alone()
    {
        var membership = new Membership();
        await using var homes = Homes(membership);
        membership.Become((Silos[0], SiloStatus.Active), (Silos[1], SiloStatus.Joining), (Silos[2], SiloStatus.Dead));
        Assert.All(Enumerable.Range(0, 32), p => Assert.Equal(Silos[0], homes.Home("shop", p)));
        membership.Become((Silos[0], SiloStatus.Active), (Silos[1], SiloStatus.Active));
        Assert.Equal(2, Enumerable.Range(0, 32).Select(p => homes.Home("shop", p)).Distinct().Count());
        membership.Become((Silos[0], SiloStatus.Dead));
        Assert.Null(homes.Home("shop", 0));
    }

    [Fact]
    public async Task Partitions_that_belong_elsewhere_are_asked_to_leave_and_no_others()
    {
        var membership = new Membership();
        await using var homes = Homes(membership);
        membership.Become((Silos[0], SiloStatus.Active));
        var asked = new HashSet<int>();
        foreach (var partition in Enumerable.Range(0, 8))
        {
            homes.Register(partition, "shop", partition, () =>
            {
                lock (asked)
                    asked.Add(partition);
            });
        }

        homes.Unregister(7);
        membership.Become((Silos[0], SiloStatus.Active), (Silos[1], SiloStatus.Active));
        var elsewhere = Enumerable.Range(0, 7).Where(p => !homes.Home("shop", p)!.Equals(Silos[0])).ToArray();
        Assert.NotEmpty(elsewhere);
        await WalSessionTests.Until(() =>
        {
            lock (asked)
                return asked.Count >= elsewhere.Length;
        });
        Assert.Equal(elsewhere, asked.Order());
    }

    [Fact]
    public async Task A_partition_that_starts_after_its_home_has_changed_is_asked_to_leave_at_once()
    {
        var membership = new Membership();
        await using var homes = Homes(membership);
        membership.Become((Silos[0], SiloStatus.Active), (Silos[1], SiloStatus.Active));
        var asked = new HashSet<int>();
        foreach (var partition in Enumerable.Range(0, 8))
            homes.Register(partition, "shop", partition, () => asked.Add(partition));
        var elsewhere = Enumerable.Range(0, 8).Where(p => homes.HomeElsewhere("shop", p) is not null).ToArray();
        Assert.Equal(Enumerable.Range(0, 8).Where(p => Silos[1].Equals(homes.Home("shop", p))), elsewhere);
        Assert.NotEmpty(elsewhere);
        Assert.Equal(elsewhere, asked.Order());
    }

    [Fact]
    public async Task No_home_is_elsewhere_for_a_silo_that_is_not_active_itself()
    {
        var membership = new Membership();
        await using var homes = Homes(membership);
        Assert.Null(homes.HomeElsewhere("shop", 0));
        membership.Become((Silos[0], SiloStatus.Joining), (Silos[1], SiloStatus.Active));
        Assert.Null(homes.HomeElsewhere("shop", 0));
        membership.Become((Silos[0], SiloStatus.ShuttingDown), (Silos[1], SiloStatus.Active));
        Assert.Null(homes.HomeElsewhere("shop", 0));
    }

    [Fact]
    public async Task A_silo_that_is_not_active_itself_asks_nobody()
    {
        var membership = new Membership();
        await using var homes = Homes(membership);
        var asked = 0;
        homes.Register(this, "shop", 0, () => Interlocked.Increment(ref asked));
        membership.Become((Silos[0], SiloStatus.ShuttingDown), (Silos[1], SiloStatus.Active));
        await membership.Seen();
        Assert.Equal(0, asked);
    }

    [Fact]
    public async Task The_watch_goes_on_after_an_error()
    {
        var time = new FakeTimeProvider();
        var membership = new Membership();
        await using var homes = Homes(membership, time);
        membership.Become((Silos[0], SiloStatus.Active));
        var asked = 0;
        var elsewhere = Enumerable.Range(0, 8).First(p => PartitionHomes.Choose("shop", p, [.. Silos[..2].Order()])!.Equals(Silos[1]));
        homes.Register(this, "shop", elsewhere, () =>
        {
            if (Interlocked.Increment(ref asked) == 1)
                throw new InvalidOperationException("odd");
        });
        await membership.Seen();
        membership.Become((Silos[0], SiloStatus.Active), (Silos[1], SiloStatus.Active));
        await WalSessionTests.Until(() =>
        {
            time.Advance(TimeSpan.FromSeconds(1));
            return Volatile.Read(ref asked) >= 2;
        });
    }

    private static PartitionHomes Homes(Membership membership, TimeProvider? time = null) =>
        new(membership, new Local(Silos[0]), time ?? TimeProvider.System, NullLogger<PartitionHomes>.Instance);

    private sealed class Local(SiloAddress silo) : ILocalSiloDetails
    {
        public string Name => "silo";

        public string ClusterId => "cluster";

        public string DnsHostName => "localhost";

        public SiloAddress SiloAddress => silo;

        public SiloAddress GatewayAddress => silo;
    }

    private sealed class Membership : IClusterMembershipService
    {
        private readonly Channel<ClusterMembershipSnapshot> _updates = Channel.CreateUnbounded<ClusterMembershipSnapshot>();
        private long _version;
        private int _seen;

        public ClusterMembershipSnapshot CurrentSnapshot { get; private set; } = new([], new MembershipVersion(0));

        public IAsyncEnumerable<ClusterMembershipSnapshot> MembershipUpdates => Updates();

        public void Become(params (SiloAddress Silo, SiloStatus Status)[] members)
        {
            CurrentSnapshot = new ClusterMembershipSnapshot(
                members.ToImmutableDictionary(m => m.Silo, m => new ClusterMember(m.Silo, m.Status, "silo")), new MembershipVersion(++_version));
            _updates.Writer.TryWrite(CurrentSnapshot);
        }

        /// <summary>Waits until the last change was handled: the next is asked for.</summary>
        public Task Seen() => WalSessionTests.Until(() => Volatile.Read(ref _seen) > _version);

        public ValueTask Refresh(MembershipVersion minimumVersion = default, CancellationToken cancellationToken = default) => default;

        public Task<bool> TryKill(SiloAddress siloAddress) => Task.FromResult(false);

        private async IAsyncEnumerable<ClusterMembershipSnapshot> Updates([EnumeratorCancellation] CancellationToken cancellation = default)
        {
            while (true)
            {
                Interlocked.Increment(ref _seen);
                yield return await _updates.Reader.ReadAsync(cancellation);
            }
        }
    }
}
