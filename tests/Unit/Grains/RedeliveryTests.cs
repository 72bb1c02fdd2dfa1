using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Retries;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing.Pipeline;
using Microsoft.Extensions.Time.Testing;
using Xunit;
using static CdcOrleans.Testing.Pipeline.Changes;

namespace CdcOrleans.Unit.Grains;

/// <summary>Dead letters that are delivered again while events of their entity are on their way: where they are in the order.</summary>
public sealed class RedeliveryTests
{
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private readonly TestStore _store = new();

    [Theory]
    [InlineData(EntityMode.Row, EntityActivation.Always)]
    [InlineData(EntityMode.Row, EntityActivation.WhenNeeded)]
    [InlineData(EntityMode.Off, EntityActivation.WhenNeeded)]
    public async Task A_letter_follows_what_the_sink_has_and_what_comes_later_follows_the_letter(EntityMode mode, EntityActivation activation)
    {
        await using var rig = Rig(mode, activation);
        rig.Take(Create("a", 1));
        await Answer(rig);
        rig.Take(Update("a", 2));
        await rig.Loaded();
        Assert.Single(rig.Sink.Open);

        var redelivered = rig.Partition.Redeliver([Letter(7, "a", 1)], RedeliverAs.Event);
        rig.RunTurns();
        rig.Take(Update("a", 3));
        await rig.Loaded();
        Assert.False(redelivered.IsCompleted);
        Assert.Single(rig.Sink.Open);
        Assert.Equal(Sample.Version(2), rig.Sink.Open[0].Events[0].Version);

        await Settle(rig);
        Assert.Empty(await redelivered);
        Assert.Equal(EventOrigin.Redelivery, Assert.Single(rig.Sink.Answered, e => e.Version == Sample.Version(1) && e.Origin != EventOrigin.Stream).Origin);
        AssertOrder(rig.Sink.Answered);
        Assert.Equal([1, 2, 3], rig.Sink.Answered.Where(e => !IsLetter(e)).Select(e => (long)e.Version.CommitLsn.Value).Distinct());
        Assert.True(rig.Sink.Answered.FindIndex(IsLetter) > rig.Sink.Answered.FindIndex(e => e.Version == Sample.Version(2)));
        Assert.Equal((7L, null), (Assert.Single(_store.Letters).Id, _store.Letters[0].Failure));
        Assert.Empty(_store.Parked);
        Assert.Empty(_store.ParkedEntities);
        Assert.Equal(0, rig.Outlet("sink").ParkedBytes);

        // The entity goes on without a detour.
        rig.Take(Update("a", 4));
        await rig.Loaded();
        Assert.Equal(EventOrigin.Stream, Assert.Single(rig.Sink.Open).Events[0].Origin);
    }

    [Fact]
    public async Task After_a_crash_before_the_checkpoint_nothing_is_parked_and_after_it_the_event_is_sent()
    {
        await using (var rig = Rig())
        {
            _ = rig.Partition.Redeliver([Letter(7, "a", 1)], RedeliverAs.Event);
            rig.RunTurns();
        }

        Assert.Empty(_store.Parked);
        await using (var rig = Rig())
        {
            _ = rig.Partition.Redeliver([Letter(7, "a", 1)], RedeliverAs.Event);
            rig.RunTurns();
            await rig.Checkpoint();
        }

        Assert.Equal(7, Assert.Single(_store.Parked).LetterId);
        await using var last = Rig();
        await Settle(last);
        Assert.Equal(7, Assert.Single(_store.Letters).Id);
        Assert.Single(last.Sink.Answered);
        Assert.Empty(_store.Parked);
    }

    [Fact]
    public async Task The_current_row_is_what_the_entity_has_after_what_it_sent()
    {
        await using var rig = Rig(activation: EntityActivation.Always);
        rig.Take(Create("a", 1));
        await Answer(rig);
        rig.Take(Update("a", 2));
        await rig.Loaded();
        var redelivered = rig.Partition.Redeliver([Letter(7, "a", 1), Letter(8, "unknown", 1)], RedeliverAs.Current);
        rig.RunTurns();
        await Settle(rig);
        var refused = Assert.Single(await redelivered);
        Assert.Equal(8, refused.Id);
        Assert.Contains("Nothing is stored", refused.Reason, StringComparison.Ordinal);
        var sent = Assert.Single(rig.Sink.Answered, e => e.Origin == EventOrigin.Redelivery);
        Assert.Equal(Sample.Version(2), sent.Version);
    }

    [Fact]
    public async Task A_letter_without_an_event_or_without_a_route_is_given_back()
    {
        await using var rig = Rig();
        var without = Letter(1, "a", 1);
        without = without with { Summary = without.Summary with { HasEvent = false } };
        var removed = Letter(2, "a", 1);
        removed = removed with { Summary = removed.Summary with { Sink = "removed" } };
        var refused = await rig.Partition.Redeliver([without, removed], RedeliverAs.Event);
        Assert.Contains("no event", refused.Single(r => r.Id == 1).Reason, StringComparison.Ordinal);
        Assert.Contains("'removed'", refused.Single(r => r.Id == 2).Reason, StringComparison.Ordinal);
        await rig.Checkpoint();
        Assert.Empty(_store.ParkedEntities);
    }

    private PartitionRig Rig(EntityMode mode = EntityMode.Row, EntityActivation activation = EntityActivation.WhenNeeded) => new(_store, new RigOptions
    {
        Time = _time, Mode = mode, Activation = activation,
        Delivery = new DeliveryPolicy { Inline = TimeSpan.FromMinutes(1), Backoff = new RetryPolicy(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(10), Jitter: 0) },
    });

    private static async Task Answer(PartitionRig rig)
    {
        await rig.Loaded();
        rig.Sink.Answer(_ => true);
        await rig.Loaded();
    }

    private async Task Settle(PartitionRig rig)
    {
        for (var i = 0; i < 40; i++)
        {
            await Answer(rig);
            await rig.Checkpoint();
            _time.Advance(TimeSpan.FromMilliseconds(500));
            rig.LookAfter();
        }

        await rig.Checkpoint();
    }

    private static bool IsLetter(SinkEvent made) => made is { Origin: EventOrigin.Redelivery, Topic: "letter" };

    private static void AssertOrder(IEnumerable<SinkEvent> answered)
    {
        var versions = answered.Where(e => !IsLetter(e)).Select(e => e.Version).ToList();
        Assert.Equal(versions.Order(), versions);
    }

    private static StoredLetter Letter(long id, string key, long commit) => new(
        new LetterSummary
        {
            Id = id, Source = "shop", Sink = "sink", Entity = new EntityKey(Sample.Orders.FullName, key), Version = Sample.Version(commit), Part = 0, Topic = "letter",
            HasEvent = true, SchemaVersion = 1, Origin = EventOrigin.Stream, Attempts = 1, FirstFailedAt = default, LastFailedAt = default, Error = "no", Fingerprint = "f",
            Bytes = 1, IsRedelivering = false,
        },
        [1], [2], null);
}
