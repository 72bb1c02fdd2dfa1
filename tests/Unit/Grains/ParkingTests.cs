using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Retries;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Testing.Pipeline;
using CsCheck;
using Microsoft.Extensions.Time.Testing;
using Xunit;
using static CdcOrleans.Testing.Pipeline.Changes;

namespace CdcOrleans.Unit.Grains;

/// <summary>Sinks that fail, hang and refuse: what they get in the end, in which order, and that they do not hold up each other.</summary>
public sealed class ParkingTests
{
    private static readonly DeliveryPolicy Policy = new()
    {
        Inline = TimeSpan.FromSeconds(2),
        Backoff = new RetryPolicy(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(10), Jitter: 0),
    };

    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private readonly TestSink _other = new() { Name = "other" };
    private readonly TestStore _store = new();

    private enum Step
    {
        Take,
        Answer,
        AnswerOther,
        FailOther,
        SinkDown,
        Refuse,
        Pass,
        Checkpoint,
        CheckpointAndCrash,
        Crash,
    }

    [Fact]
    public async Task What_fails_is_tried_in_place_first_then_parked_and_delivered_when_due()
    {
        await using var rig = Rig();
        _other.Fails = _ => DeliveryFailure.OfEvent("later");
        rig.Take(Create("a", 1));
        rig.Sink.Answer(_ => true);
        _other.Answer(_ => true);
        Assert.Empty(_other.Open);
        await Pass(rig, TimeSpan.FromMilliseconds(500));
        Assert.Single(_other.Open);

        await FailFor(rig, TimeSpan.FromSeconds(3));
        Assert.Equal(0, rig.Partition.Unfinished);
        await rig.Checkpoint();
        Assert.Equal(Sample.Version(1), _store.Claims.Progress);
        Assert.Equal(Sample.Version(1), Assert.Single(_store.Parked).Event.Version);
        Assert.Equal("later", Assert.Single(_store.ParkedEntities.Values).LastError);

        // A later event of the entity waits behind the parked one; one of another entity does not.
        rig.Take(Create("a", 2), Create("b", 3));
        rig.Sink.Answer(_ => true);
        Assert.Equal("b", Key(Assert.Single(_other.Open)));
        _other.Fails = _ => null;
        _other.Answer(_ => true);
        await rig.Checkpoint();
        Assert.Equal(2, _store.Parked.Count);

        await Settle(rig);
        Assert.Equal([Sample.Version(3), Sample.Version(1), Sample.Version(2)], _other.Answered.Select(e => e.Version));
        Assert.Equal([EventOrigin.Stream, EventOrigin.Redelivery, EventOrigin.Redelivery], _other.Answered.Select(e => e.Origin));
        Assert.Empty(_store.Parked);
        Assert.Empty(_store.ParkedEntities);
        Assert.Equal(0, rig.Outlet("other").ParkedBytes);

        // It goes on without a detour.
        rig.Take(Create("a", 4));
        Assert.Equal(EventOrigin.Stream, Assert.Single(_other.Open).Events[0].Origin);
    }

    [Theory]
    [InlineData(EntityMode.Row)]
    [InlineData(EntityMode.Off)]
    public async Task A_sink_that_hangs_holds_up_no_other_and_its_late_answers_count(EntityMode mode)
    {
        await using var rig = Rig(Policy, mode, EntityActivation.Always);
        for (var i = 1; i <= 20; i++)
        {
            rig.Take(Create("a", i));
            rig.Sink.Answer(_ => true);
            await Pass(rig, TimeSpan.FromMilliseconds(20));
        }

        Assert.Equal(20, rig.Sink.Answered.Count);
        Assert.Single(_other.Open);
        await Pass(rig, TimeSpan.FromSeconds(3));
        Assert.Equal(0, rig.Partition.Unfinished);
        Assert.True(rig.Outlet("other").IsOpen);
        await rig.Checkpoint();
        Assert.Equal(20, _store.Parked.Count);

        // The first one is at the sink: nothing is sent before its answer.
        await Pass(rig, TimeSpan.FromMinutes(2));
        Assert.Single(_other.Open);
        _other.Answer(_ => true);
        await Settle(rig);
        Assert.Equal(Enumerable.Range(1, 20).Select(i => Sample.Version(i)), _other.Answered.Select(e => e.Version));
        Assert.Empty(_store.Parked);
        Assert.False(rig.Outlet("other").IsOpen);
    }

    [Fact]
    public async Task A_parked_event_that_failed_is_tried_alone_and_the_others_follow_it_together()
    {
        await using var rig = Rig(Policy with { Inline = TimeSpan.Zero });
        _other.Fails = _ => DeliveryFailure.OfEvent("later");
        rig.Take(Create("a", 1));
        rig.Sink.Answer(_ => true);
        _other.Answer(_ => true);
        rig.Take(Update("a", 2), Update("a", 3));
        rig.Sink.Answer(_ => true);
        await rig.Checkpoint();
        Assert.Equal(3, _store.Parked.Count);

        while (_other.Open.Count == 0)
            await Pass(rig, TimeSpan.FromMilliseconds(250));
        Assert.Equal(Sample.Version(1), Assert.Single(Assert.Single(_other.Open).Events).Version);
        _other.Fails = _ => null;
        _other.Answer(_ => true);
        while (_other.Open.Count == 0)
            await Pass(rig, TimeSpan.FromMilliseconds(250));
        Assert.Equal([Sample.Version(2), Sample.Version(3)], Assert.Single(_other.Open).Events.Select(e => e.Version));
        await Settle(rig);
        Assert.Empty(_store.Parked);
    }

    [Fact]
    public async Task While_a_sink_is_out_of_reach_events_are_parked_at_once_and_one_probe_finds_that_it_is_back()
    {
        await using var rig = Rig();
        _other.Fails = _ => DeliveryFailure.OfSink("gone");
        rig.Take(Create("a", 1));
        await FailFor(rig, TimeSpan.FromSeconds(4));
        Assert.True(rig.Outlet("other").IsOpen);

        for (var i = 2; i <= 100; i++)
            rig.Take(Create("k" + i, i));
        rig.Sink.Answer(_ => true);
        Assert.True(_other.Open.Count <= 1);
        _other.Answer(_ => true);
        Assert.Equal(0, rig.Partition.Unfinished);
        await rig.Checkpoint();
        Assert.Equal(100, _store.Parked.Count);

        var probes = 0;
        for (var i = 0; i < 240; i++)
        {
            await Pass(rig, TimeSpan.FromMilliseconds(250));
            probes += _other.Open.Count;
            Assert.True(_other.Open.Count <= 1);
            _other.Answer(_ => true);
        }

        Assert.InRange(probes, 2, 10);
        _other.Fails = _ => null;
        await Settle(rig);
        Assert.Equal(100, _other.Answered.Select(e => e.Version).Distinct().Count());
        Assert.Empty(_store.Parked);
    }

    [Fact]
    public async Task A_destination_that_fails_opens_its_own_circuit_alone()
    {
        await using var rig = Rig();
        var kept = Sample.Table("kept", 1, "id", "status", "note");
        _other.Fails = e => e.Topic == "shop.public.orders" ? DeliveryFailure.OfDestination(e.Topic, "no such topic") : null;
        rig.Take(Create("a", 1));
        while (rig.Outlet("other").Status.OpenCircuits.Count == 0)
            await FailFor(rig, TimeSpan.FromMilliseconds(250));
        rig.Take(Create("b", 2), Sample.Change(ChangeOperation.Create, "x", Sample.Version(3), Sample.Row("x", "1", null), table: kept));
        Assert.Equal("x", Key(Assert.Single(_other.Open)));
        Assert.Equal("no such topic", Assert.Single(rig.Outlet("other").Status.OpenCircuits).Error);
        Assert.False(rig.Outlet("other").IsOpen);
    }

    [Fact]
    public async Task Held_events_wait_for_the_sink_and_the_partition_does_not_finish_them()
    {
        await using var rig = Rig(Policy with { Outage = OutagePolicy.Hold });
        _other.Fails = _ => DeliveryFailure.OfSink("gone");
        rig.Take(Create("a", 1));
        await FailFor(rig, TimeSpan.FromSeconds(4));
        rig.Take(Create("b", 2));
        rig.Sink.Answer(_ => true);
        Assert.Equal(2, rig.Partition.Unfinished);
        Assert.Equal(2, rig.Outlet("other").Status.Held);

        _other.Fails = _ => null;
        await Settle(rig);
        Assert.Equal([Sample.Version(1), Sample.Version(2)], _other.Answered.Select(e => e.Version).Order());
        Assert.Equal(0, rig.Partition.Unfinished);
        Assert.Empty(_store.Parked);
    }

    [Fact]
    public async Task Beyond_the_limit_of_parked_bytes_events_wait()
    {
        await using var rig = Rig(Policy with { SpillBytes = 400 }, spill: 400);
        _other.Fails = _ => DeliveryFailure.OfSink("gone");
        for (var i = 1; i <= 10; i++)
            rig.Take(Create("k" + i, i));
        rig.Sink.Answer(_ => true);
        await FailFor(rig, TimeSpan.FromSeconds(4));
        Assert.Equal(3, rig.Outlet("other").Status.Parked);
        Assert.True(rig.Outlet("other").Status.IsFull);

        _other.Fails = _ => null;
        await Settle(rig);
        Assert.Equal(10, _other.Answered.Select(e => e.Version).Distinct().Count());
        Assert.Equal(0, rig.Outlet("other").ParkedBytes);
        Assert.False(rig.Outlet("other").Status.IsFull);
    }

    [Fact]
    public async Task What_is_given_up_becomes_a_dead_letter_with_its_last_error_and_the_next_goes_on()
    {
        await using var rig = Rig(Policy with { GiveUpAttempts = 4 });
        _other.Fails = e => e.Version == Sample.Version(1) ? DeliveryFailure.OfEvent("never mind") : null;
        rig.Take(Create("a", 1), Create("a", 2));
        await FailFor(rig, TimeSpan.FromSeconds(4));
        await Settle(rig);
        var letter = Assert.Single(_store.DeadLetters);
        Assert.Equal(Sample.Version(1), letter.Version);
        Assert.Contains("4 attempts", letter.Error, StringComparison.Ordinal);
        Assert.Contains("never mind", letter.Error, StringComparison.Ordinal);
        Assert.Equal([Sample.Version(2)], _other.Answered.Select(e => e.Version));
    }

    [Fact]
    public async Task With_block_a_dead_letter_stops_later_events_of_its_entity_at_its_sink_alone()
    {
        await using var rig = Rig(Policy with { Poison = PoisonPolicy.Block });
        _other.Refuse = e => e.Version == Sample.Version(1);
        rig.Take(Create("a", 1), Create("a", 2), Create("b", 3));
        await Settle(rig);
        Assert.Equal([Sample.Version(3)], _other.Answered.Select(e => e.Version));
        Assert.Equal([Sample.Version(1), Sample.Version(2), Sample.Version(3)], rig.Sink.Answered.Select(e => e.Version).Order());
        Assert.Equal(Sample.Version(2), Assert.Single(_store.Parked).Event.Version);
        Assert.True(Assert.Single(_store.ParkedEntities.Values).IsBlocked);
        Assert.Equal(0, rig.Partition.Unfinished);
    }

    [Fact]
    public async Task Parked_events_survive_the_end_of_the_partition_and_later_ones_stay_behind_them()
    {
        await using (var first = Rig())
        {
            _other.Fails = _ => DeliveryFailure.OfEvent("later");
            first.Take(Create("a", 1));
            first.Sink.Answer(_ => true);
            await FailFor(first, TimeSpan.FromSeconds(4));
            await first.Checkpoint();
        }

        _other.Open.Clear();
        _other.Fails = _ => null;
        await using var second = Rig();
        second.Take(Create("a", 2));
        second.Sink.Answer(_ => true);
        Assert.Empty(_other.Open);
        Assert.Equal(0, second.Partition.Unfinished);
        await Settle(second);
        Assert.Equal([Sample.Version(1), Sample.Version(2)], _other.Answered.Select(e => e.Version));
        Assert.Empty(_store.ParkedEntities);
    }

    /// <summary>An entity that changes all the time must not have its events parked for ever after its sink is back.</summary>
    [Theory]
    [InlineData(EntityMode.Row)]
    [InlineData(EntityMode.Off)]
    public async Task An_entity_that_changes_all_the_time_catches_up_when_its_sink_is_back(EntityMode mode)
    {
        await using var rig = Rig(mode: mode);
        _other.Fails = _ => DeliveryFailure.OfSink("gone");
        var version = 0;
        async Task Work(int rounds)
        {
            for (var i = 0; i < rounds; i++)
            {
                rig.Take(version == 0 ? Create("a", ++version) : Touched("a", ++version));
                rig.Sink.Answer(_ => true);
                _other.Answer(_ => true);
                await Pass(rig, TimeSpan.FromMilliseconds(50));
                if (i % 4 == 0)
                    await rig.Checkpoint();
            }
        }

        await Work(100);
        Assert.NotEmpty(_store.Parked);
        _other.Fails = _ => null;
        await Work(700);
        Assert.Equal(EventOrigin.Stream, _other.Answered[^1].Origin);
        Assert.Equal(0, rig.Outlet("other").Status.Parked);
        await Settle(rig);
        Assert.Equal(Enumerable.Range(1, version).Select(i => Sample.Version(i)), _other.Answered.Select(e => e.Version));
        Assert.Equal(0, rig.Partition.Unfinished);
    }

    [Theory]
    [InlineData(EntityMode.Row)]
    [InlineData(EntityMode.Off)]
    public async Task Nothing_is_passed_to_a_sink_for_a_partition_that_has_ended_and_nothing_of_it_stays_counted(EntityMode mode)
    {
        await using var rig = Rig(Policy with { Inline = TimeSpan.FromSeconds(5) }, mode);
        rig.Take(Create("a", 1), Create("b", 2));
        _other.Fails = _ => DeliveryFailure.OfEvent("later");
        _other.Answer(_ => true);
        rig.Take(Create("a", 3));
        rig.Partition.End();
        _other.Fails = _ => null;
        await Settle(rig);
        Assert.Empty(_other.Answered);
        Assert.Equal(0, rig.Outlet("other").ParkedBytes);
        Assert.Equal(0, rig.Outlet("sink").ParkedBytes);
    }

    /// <summary>
    /// Random histories with a sink that fails, refuses, hangs and goes out of reach: per entity each sink sees the versions in order, each
    /// once but for what repeats after a crash; and in the end every event is delivered or a dead letter.
    /// </summary>
    [Fact]
    public void Order_holds_and_nothing_is_lost_over_random_histories() =>
        Gen.Select(
            Gen.Int[0, 3].Array[1, 40],
            Gen.Select(Gen.Enum<Step>(), Gen.Int[0, 1000]).Array[0, 120],
            Gen.OneOf(EntityMode.Row, EntityMode.Off),
            Gen.OneOf(EntityActivation.WhenNeeded, EntityActivation.Always),
            Gen.OneOf(Policy, Policy with { Outage = OutagePolicy.Hold }, Policy with { Inline = TimeSpan.Zero }, Policy with { SpillBytes = 600 }))
            .Sample((entities, steps, mode, activation, policy) => new ParkingTests().Run(entities, steps, mode, activation, policy).GetAwaiter().GetResult(), iter: 1000);

    private async Task Run(int[] entities, (Step Step, int Pick)[] steps, EntityMode mode, EntityActivation activation, DeliveryPolicy policy)
    {
        var changes = entities.Select((e, i) => Create("k" + e, i + 1)).ToArray();
        var poison = new HashSet<ChangeVersion>();
        var crashes = new List<int>();
        var mainCrashes = new List<int>();
        var isDown = false;
        var fails = new HashSet<ChangeVersion>();
        _other.Refuse = e => poison.Contains(e.Version);
        _other.Fails = e => isDown ? DeliveryFailure.OfSink("down") : fails.Contains(e.Version) ? DeliveryFailure.OfEvent("later") : null;
        var rig = Rig(policy, mode, activation, policy.SpillBytes);
        var main = new List<SinkEvent>();
        var next = 0;
        foreach (var (step, pick) in steps)
        {
            switch (step)
            {
                case Step.Take when next < changes.Length:
                    var count = 1 + (pick % Math.Min(5, changes.Length - next));
                    rig.Take(changes[next..(next + count)]);
                    next += count;
                    break;
                case Step.Answer:
                    rig.Sink.AnswerOne(pick);
                    break;
                case Step.AnswerOther:
                    _other.AnswerOne(pick);
                    break;
                case Step.FailOther:
                    if (!fails.Remove(Sample.Version(1 + (pick % changes.Length))))
                        fails.Add(Sample.Version(1 + (pick % changes.Length)));
                    break;
                case Step.SinkDown:
                    isDown = pick % 3 == 0;
                    break;
                case Step.Refuse:
                    poison.Add(Sample.Version(1 + (pick % changes.Length)));
                    break;
                case Step.Pass:
                    await Pass(rig, TimeSpan.FromMilliseconds(50 + (pick * 5)));
                    break;
                case Step.Checkpoint:
                    await rig.Checkpoint();
                    break;
                case Step.CheckpointAndCrash:
                    rig.LastCheckpointAfter = 1 + (pick % 6);
                    break;
                case Step.Crash:
                    await Crash();
                    break;
            }

            await rig.Loaded();
            if (rig.IsStopped)
                await Crash();
        }

        rig.LastCheckpointAfter = null;
        isDown = false;
        fails.Clear();
        if (next < changes.Length)
            rig.Take(changes[next..]);
        await Settle(rig);
        main.AddRange(rig.Sink.Answered);
        Assert.Equal(0, rig.Partition.Unfinished);
        await rig.DisposeAsync();

        AssertOrder(main, mainCrashes);
        AssertOrder(_other.Answered, crashes);
        Assert.Equal(changes.Select(c => c.Version), main.Select(e => e.Version).Distinct().Order());
        var ended = _other.Answered.Select(e => e.Version).Concat(_store.DeadLetters.Select(l => l.Version)).Distinct().Order();
        Assert.Equal(changes.Select(c => c.Version), ended);
        Assert.Empty(_store.Parked);
        Assert.Empty(_store.ParkedEntities);
        Assert.Equal(changes[^1].Version, _store.Claims.Progress);

        async Task Crash()
        {
            main.AddRange(rig.Sink.Answered);
            await rig.DisposeAsync();
            _other.Open.Clear();
            crashes.Add(_other.Answered.Count);
            mainCrashes.Add(main.Count);
            rig = Rig(policy, mode, activation, policy.SpillBytes);
            next = changes.Count(c => c.Version <= _store.Claims.Progress);
        }
    }

    // Between two crashes, each version of an entity comes once and in order.
    private static void AssertOrder(List<SinkEvent> answered, List<int> crashes)
    {
        var start = 0;
        foreach (var end in crashes.Append(answered.Count))
        {
            foreach (var entity in answered.Take(start..end).GroupBy(Key))
            {
                var versions = entity.Select(e => e.Version).ToList();
                Assert.DoesNotContain(versions.Zip(versions.Skip(1)), pair => pair.Second <= pair.First);
            }

            start = end;
        }
    }

    private PartitionRig Rig(
        DeliveryPolicy? policy = null, EntityMode mode = EntityMode.Row, EntityActivation activation = EntityActivation.WhenNeeded, long spill = 1L << 30) =>
        new(_store, new RigOptions { Time = _time, Delivery = (policy ?? Policy) with { SpillBytes = spill }, OtherSinks = [_other], Mode = mode, Activation = activation });

    private async Task Pass(PartitionRig rig, TimeSpan time)
    {
        for (; time > TimeSpan.Zero; time -= TimeSpan.FromMilliseconds(250))
        {
            _time.Advance(TimeSpan.FromMilliseconds(Math.Min(250, time.TotalMilliseconds)));
            rig.LookAfter();
            await rig.Loaded();
        }
    }

    // The other sink answers with whatever it fails with.
    private async Task FailFor(PartitionRig rig, TimeSpan time)
    {
        for (; time > TimeSpan.Zero; time -= TimeSpan.FromMilliseconds(250))
        {
            _other.Answer(_ => true);
            await Pass(rig, TimeSpan.FromMilliseconds(250));
        }

        _other.Answer(_ => true);
        rig.Sink.Answer(_ => true);
        await rig.Loaded();
    }

    // Both sinks answer, time passes and checkpoints are made, until nothing changes any more.
    private async Task Settle(PartitionRig rig)
    {
        for (var i = 0; i < 400; i++)
        {
            rig.Sink.Answer(_ => true);
            _other.Answer(_ => true);
            await Pass(rig, TimeSpan.FromMilliseconds(250));
            await rig.Checkpoint();
        }
    }
}
