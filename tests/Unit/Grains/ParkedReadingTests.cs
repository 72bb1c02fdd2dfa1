using System.Globalization;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Retries;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Testing.Pipeline;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace CdcOrleans.Unit.Grains;

/// <summary>How often parked events are read, while a destination of their sink is out of reach.</summary>
public sealed class ParkedReadingTests
{
    private const int Entities = 40;

    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private readonly TestSink _other = new() { Name = "other" };
    private readonly TestStore _store = new();

    [Fact]
    public async Task While_a_destination_is_out_of_reach_an_entity_is_read_for_each_probe_only()
    {
        await using var rig = Rig();
        _other.Fails = GoneFor(Sample.Orders);
        await Park(rig, Sample.Orders);
        await Pass(rig, TimeSpan.FromSeconds(30));

        var before = _store.ParkedReads;
        var probes = await Pass(rig, TimeSpan.FromMinutes(5));
        Assert.InRange(probes, 5, 30);
        Assert.InRange(_store.ParkedReads - before, probes, 2 * probes);

        _other.Fails = _ => null;
        await Pass(rig, TimeSpan.FromMinutes(2));
        Assert.Equal(Entities, _other.Answered.Count);
        await rig.Checkpoint();
        Assert.Empty(_store.Parked);
    }

    [Fact]
    public async Task A_partition_that_starts_again_reads_each_entity_once()
    {
        _other.Fails = GoneFor(Sample.Orders);
        await using (var first = Rig())
        {
            await Park(first, Sample.Orders);
        }

        var before = _store.ParkedReads;
        await using var rig = Rig();
        var probes = await Pass(rig, TimeSpan.FromMinutes(5));
        Assert.InRange(_store.ParkedReads - before, Entities, Entities + (2 * probes) + 16);
    }

    [Fact]
    public async Task Events_for_a_destination_that_is_back_do_not_wait_for_another_one()
    {
        await using var rig = Rig();
        var kept = Sample.Table("kept", 1, "id", "status", "note");
        _other.Fails = e => DeliveryFailure.OfDestination(e.Topic, "no such topic");
        await Park(rig, Sample.Orders);
        await Park(rig, kept);
        await Pass(rig, TimeSpan.FromMinutes(1));

        _other.Fails = GoneFor(Sample.Orders);
        await Pass(rig, TimeSpan.FromMinutes(1));
        Assert.Equal(Entities, _other.Answered.Count(e => e.Entity.Table == kept.FullName));
        Assert.DoesNotContain(_other.Answered, e => e.Entity.Table == Sample.Orders.FullName);
        Assert.Equal("shop.public.orders", Assert.Single(rig.Outlet("other").Status.OpenCircuits).Destination);
    }

    [Fact]
    public async Task An_entity_whose_next_event_goes_elsewhere_does_not_wait_for_the_destination_of_the_one_before()
    {
        await using var rig = Rig();
        var moved = Sample.Version(2);
        _other.Destination = e => e.Version == moved ? "new" : "old";
        _other.Fails = e => DeliveryFailure.OfDestination(_other.Destination(e), "no such topic");
        rig.Take(Create(Sample.Orders, "a", 1), Create(Sample.Orders, "a", 2));
        await Pass(rig, TimeSpan.FromSeconds(5));
        await rig.Checkpoint();

        // The first one is delivered, and the second one asks for some time. Meanwhile nothing goes where the first one went.
        var isAsked = false;
        _other.Fails = e =>
        {
            isAsked |= e.Version == moved;
            return e.Version == moved ? DeliveryFailure.OfEvent("later") with { RetryAfter = TimeSpan.FromSeconds(20) } : null;
        };
        while (!isAsked)
            await Pass(rig, TimeSpan.FromMilliseconds(250));
        _other.Fails = e => e.Version == moved ? null : DeliveryFailure.OfDestination("old", "no such topic");
        rig.Take(Create(Sample.Orders, "b", 3));
        await Pass(rig, TimeSpan.FromSeconds(19));
        await rig.Checkpoint();
        Assert.Equal("old", Assert.Single(rig.Outlet("other").Status.OpenCircuits).Destination);
        Assert.Equal([Sample.Version(1)], _other.Answered.Select(e => e.Version));
        await Pass(rig, TimeSpan.FromSeconds(2));
        Assert.Equal([Sample.Version(1), moved], _other.Answered.Select(e => e.Version));
    }

    private static Func<SinkEvent, DeliveryFailure?> GoneFor(TableSchema table) =>
        e => e.Entity.Table == table.FullName ? DeliveryFailure.OfDestination(e.Topic, "no such topic") : null;

    private static RowChange Create(TableSchema table, string key, long version) =>
        Sample.Change(ChangeOperation.Create, key, Sample.Version(version), Sample.Row(key, "1", null), table: table);

    // Every entity of a table has an event in the store.
    private async Task Park(PartitionRig rig, TableSchema table)
    {
        var first = _store.Parked.Count;
        for (var i = 1; i <= Entities; i++)
            rig.Take(Create(table, i.ToString(CultureInfo.InvariantCulture), first + i));
        await Pass(rig, TimeSpan.FromSeconds(5));
        await rig.Checkpoint();
        Assert.Equal(first + Entities, _store.Parked.Count);
    }

    // Both sinks answer, and time passes. Returns how many deliveries the other sink got.
    private async Task<int> Pass(PartitionRig rig, TimeSpan time)
    {
        var deliveries = 0;
        for (; time > TimeSpan.Zero; time -= TimeSpan.FromMilliseconds(250))
        {
            _time.Advance(TimeSpan.FromMilliseconds(250));
            rig.LookAfter();
            await rig.Loaded();
            deliveries += _other.Open.Count;
            rig.Sink.Answer(_ => true);
            _other.Answer(_ => true);
            await rig.Loaded();
        }

        return deliveries;
    }

    private PartitionRig Rig() => new(_store, new RigOptions
    {
        Time = _time,
        OtherSinks = [_other],
        Delivery = new DeliveryPolicy
        {
            Inline = TimeSpan.FromSeconds(2), SpillBytes = 1L << 30,
            Backoff = new RetryPolicy(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(10), Jitter: 0),
        },
    });
}
