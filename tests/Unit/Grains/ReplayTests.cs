using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Entities;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Retries;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing.Pipeline;
using CsCheck;
using Microsoft.Extensions.Time.Testing;
using Xunit;
using static CdcOrleans.Testing.Pipeline.Changes;

namespace CdcOrleans.Unit.Grains;

/// <summary>Current rows that are replayed to one sink while changes of the same entities are on their way: their place in the order.</summary>
public sealed class ReplayTests
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
        Replay,
        ReplayUnsaved,
        Answer,
        AnswerOther,
        FailOther,
        SinkDown,
        Refuse,
        Sleep,
        Pass,
        Checkpoint,
        CheckpointAndCrash,
        Crash,
    }

    [Theory]
    [InlineData(EntityActivation.Always)]
    [InlineData(EntityActivation.WhenNeeded)]
    public async Task A_row_follows_the_change_that_the_sink_has_and_the_next_change_follows_the_row(EntityActivation activation)
    {
        await using var rig = Rig(activation: activation);
        rig.Take(Create("a", 1));
        var work = rig.Replay("other", "a");
        await rig.Loaded();
        rig.Take(Update("a", 2));
        await rig.Loaded();
        Assert.Equal(Sample.Version(1), Assert.Single(Assert.Single(_other.Open).Events).Version);
        await Settle(rig);
        Assert.True(work.Done.Task.IsCompletedSuccessfully);
        Assert.Equal([1, 0, 0], work.Finished);
        Assert.Equal(
            [(1, EventOrigin.Stream), (1, EventOrigin.Replay), (2, EventOrigin.Stream)], _other.Answered.Select(e => ((int)e.Version.CommitLsn.Value, e.Origin)));
        Assert.DoesNotContain(rig.Sink.Answered, e => e.Origin == EventOrigin.Replay);
        Assert.Equal(0, rig.Partition.Unfinished);
        Assert.Equal(Sample.Version(2), _store.States[new StateKey(Sample.Orders.TableId, "a")].Version);
    }

    [Fact]
    public async Task An_entity_that_sleeps_is_replayed_in_passing_and_its_next_change_waits_for_the_row()
    {
        await using var rig = Rig();
        rig.Take(Create("a", 1));
        await Settle(rig);
        _other.Answered.Clear();
        var made = rig.Activations.Made;
        rig.Replay("other", "a");
        await rig.Loaded();
        Assert.Equal(EntityPhase.Passing, rig.Phase("a"));
        Assert.Equal(EventOrigin.Replay, Assert.Single(_other.Open).Events[0].Origin);
        rig.Take(Update("a", 2));
        await rig.Loaded();
        Assert.Single(_other.Open);
        Assert.Equal(made, rig.Activations.Made);
        await Settle(rig);
        Assert.Equal([EventOrigin.Replay, EventOrigin.Stream], _other.Answered.Select(e => e.Origin));
    }

    [Theory]
    [InlineData(OutagePolicy.Spill)]
    [InlineData(OutagePolicy.Hold)]
    public async Task A_row_for_a_sink_that_hangs_holds_up_no_change_of_an_awake_entity_to_another(OutagePolicy outage)
    {
        await using var rig = Rig(Policy with { Outage = outage }, EntityActivation.Always);
        rig.Take(Create("a", 1));
        await Settle(rig);
        rig.Replay("other", "a");
        await rig.Loaded();
        Assert.Single(_other.Open);
        rig.Take(Update("a", 2));
        await rig.Loaded();
        Assert.Equal(Sample.Version(2), Assert.Single(rig.Sink.Open).Events[0].Version);
        Assert.Single(_other.Open);
        await Settle(rig);
        Assert.Equal(
            [(1, EventOrigin.Stream), (1, EventOrigin.Replay), (2, EventOrigin.Stream)], _other.Answered.Select(e => ((int)e.Version.CommitLsn.Value, e.Origin)));
    }

    [Fact]
    public async Task The_row_of_a_parked_entity_queues_behind_its_parked_events_and_later_ones_behind_the_row()
    {
        await using var rig = Rig(Policy with { Inline = TimeSpan.Zero });
        _other.Fails = _ => DeliveryFailure.OfEvent("later");
        rig.Take(Create("a", 1));
        await Answer(rig);
        rig.Take(Update("a", 2));
        await Answer(rig);
        var work = rig.Replay("other", "a");
        await Answer(rig);
        rig.Take(Update("a", 3));
        await Answer(rig);
        Assert.False(work.Done.Task.IsCompleted);
        await rig.Checkpoint();
        await work.Done.Task;
        Assert.Equal((1, 4), (work.Parked, _store.Parked.Count));
        _other.Fails = _ => null;
        await Settle(rig);
        Assert.Equal([1, 2, 2, 3], _other.Answered.Select(e => (int)e.Version.CommitLsn.Value));
        Assert.Empty(_store.Parked);
        Assert.Empty(_store.ParkedEntities);
        Assert.Equal(0, rig.Outlet("other").ParkedBytes);
    }

    [Fact]
    public async Task A_late_answer_counts_for_a_row_that_was_parked_while_the_sink_had_it()
    {
        await using var rig = Rig(activation: EntityActivation.Always);
        rig.Take(Create("a", 1));
        await Settle(rig);
        rig.Replay("other", "a");
        rig.Take(Update("a", 2));
        await rig.Loaded();
        for (var i = 0; i < 12; i++)
        {
            rig.Sink.Answer(_ => true);
            await Pass(rig, TimeSpan.FromMilliseconds(250));
        }

        await rig.Checkpoint();
        Assert.Equal(2, _store.Parked.Count);
        await Settle(rig);
        Assert.Equal(
            [(1, EventOrigin.Stream), (1, EventOrigin.Replay), (2, EventOrigin.Redelivery)], _other.Answered.Select(e => ((int)e.Version.CommitLsn.Value, e.Origin)));
        Assert.Empty(_store.Parked);
        Assert.Empty(_store.ParkedEntities);
        Assert.Equal(0, rig.Outlet("other").ParkedBytes);
    }

    [Fact]
    public async Task Nothing_is_sent_for_what_was_deleted_or_is_not_stored()
    {
        await using var rig = Rig();
        rig.Take(Create("a", 1), Delete("b", 2));
        await Settle(rig);
        _other.Answered.Clear();
        var work = rig.Replay("other", "a", "b", "c");
        await Settle(rig);
        Assert.Equal([1, 2, 0], work.Finished);
        Assert.Equal("a", Key(Assert.Single(_other.Answered)));
        Assert.Equal(0, rig.Partition.Unfinished);
    }

    [Fact]
    public async Task What_the_store_does_not_have_yet_is_replayed_too()
    {
        await using var rig = Rig();
        rig.Take(Create("saved", 1));
        await Settle(rig);
        rig.Take(Create("unsaved", 2));
        await Answer(rig);
        rig.Take(Create("busy", 3));
        await rig.Loaded();
        _other.Answer(_ => true);
        _other.Answered.Clear();
        var work = rig.Replay("other");
        await Settle(rig);
        Assert.True(work.Done.Task.IsCompletedSuccessfully);
        Assert.Equal(["busy", "unsaved"], _other.Answered.Select(Key).Order());
        Assert.All(_other.Answered, e => Assert.Equal(EventOrigin.Replay, e.Origin));
    }

    [Fact]
    public async Task A_part_is_done_when_its_dead_letters_are_durable()
    {
        await using var rig = Rig();
        rig.Take(Create("a", 1));
        await Settle(rig);
        _other.Refuse = _ => true;
        var work = rig.Replay("other", "a");
        await Answer(rig);
        await Answer(rig);
        Assert.Equal((1, 0), (work.Refused, work.UnderWay));
        Assert.False(work.Done.Task.IsCompleted);
        await rig.Checkpoint();
        await work.Done.Task;
        Assert.Equal(EventOrigin.Replay, Assert.Single(_store.DeadLetters).Origin);

        // A row that no format can write is a dead letter of this sink alone.
        rig.Format.Breaks = _ => true;
        work = rig.Replay("other", "a");
        await Settle(rig);
        Assert.Equal(1, work.Refused);
        Assert.Equal("other", Assert.Single(_store.DeadLetters, l => !l.HasEvent).Sink);
    }

    [Fact]
    public async Task Few_rows_are_under_way_at_a_time_and_none_goes_to_a_sink_that_is_out_of_reach_but_a_probe()
    {
        await using var rig = Rig(Policy with { Inline = TimeSpan.Zero });
        var keys = Enumerable.Range(1, 200).Select(i => "k" + i).ToArray();
        rig.Take([.. keys.Select((k, i) => Create(k, i + 1))]);
        await Settle(rig);
        _other.Answered.Clear();
        rig.Replay("other", keys);
        await rig.Loaded();
        Assert.Equal(16, _other.Open.Count);
        _other.Fails = _ => DeliveryFailure.OfSink("gone");
        await Answer(rig);
        Assert.True(rig.Outlet("other").IsOpen);
        for (var i = 0; i < 40; i++)
        {
            await Pass(rig, TimeSpan.FromMilliseconds(250));
            Assert.True(_other.Open.Count <= 1);
            _other.Answer(_ => true);
        }

        await rig.Checkpoint();
        Assert.InRange(_store.Parked.Count, 1, 80);
        _other.Fails = _ => null;
        await Settle(rig);
        Assert.Equal(200, _other.Answered.Select(Key).Distinct().Count());
    }

    [Fact]
    public async Task Before_stored_rows_are_deleted_no_row_is_under_way_and_none_begins()
    {
        await using var rig = Rig();
        rig.Take(Create("a", 1), Create("b", 2));
        await Settle(rig);
        rig.Replay("other", "a");
        await rig.Loaded();
        var quiet = rig.Partition.HoldReplays([Sample.Orders.TableId]);
        Assert.False(quiet.IsCompleted);
        var later = rig.Replay("other", "b");
        await rig.Loaded();
        Assert.Single(_other.Open);
        await Answer(rig);
        await quiet;
        Assert.Empty(_other.Open);

        // The rows are deleted, and the replay goes on.
        await _store.Truncate("shop", 1, Sample.Orders.TableId, Sample.Version(2), CancellationToken.None);
        rig.Partition.Forget([Sample.Orders.TableId], default);
        await Settle(rig);
        Assert.Equal([0, 1, 0], later.Finished);
        Assert.True(later.Done.Task.IsCompletedSuccessfully);
    }

    [Fact]
    public async Task A_partition_that_ends_gives_up_its_parts()
    {
        await using var rig = Rig();
        rig.Take(Create("a", 1));
        await Settle(rig);
        var work = rig.Replay("other", "a");
        await rig.Loaded();
        var drained = rig.Partition.Drain();
        Assert.False(drained.IsCompleted);
        await Answer(rig);
        await drained;
        var waiting = rig.Replay("other", "a");
        rig.Partition.Close();
        Assert.True(work.Done.Task.IsCompletedSuccessfully);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting.Done.Task);
    }

    /// <summary>
    /// Random histories with replays, a sink that fails, refuses, hangs and goes out of reach, and crashes: at each sink the versions of an
    /// entity never step back but for what repeats after a crash, and whatever is replayed in the end arrives with its newest version.
    /// </summary>
    [Fact]
    public void Versions_never_step_back_over_random_histories() =>
        Gen.Select(
            Gen.Int[0, 3].Array[1, 40],
            Gen.Select(Gen.Enum<Step>(), Gen.Int[0, 1000]).Array[0, 120],
            Gen.OneOf(EntityActivation.WhenNeeded, EntityActivation.Always),
            Gen.OneOf(Policy, Policy with { Outage = OutagePolicy.Hold }, Policy with { Inline = TimeSpan.Zero }, Policy with { SpillBytes = 600 }))
            .Sample((entities, steps, activation, policy) => new ReplayTests().Run(entities, steps, activation, policy).GetAwaiter().GetResult(), iter: 1000);

    private async Task Run(int[] entities, (Step Step, int Pick)[] steps, EntityActivation activation, DeliveryPolicy policy)
    {
        var changes = entities.Select((e, i) => i % 7 == 6 ? Delete("k" + e, i + 1) : Create("k" + e, i + 1)).ToArray();
        string[] keys = [.. changes.Select(c => c.Entity.Key).Distinct()];
        var poison = new HashSet<ChangeVersion>();
        var fails = new HashSet<ChangeVersion>();
        var crashes = new List<int>();
        var isDown = false;
        _other.Refuse = e => poison.Contains(e.Version);
        _other.Fails = e => isDown ? DeliveryFailure.OfSink("down") : fails.Contains(e.Version) ? DeliveryFailure.OfEvent("later") : null;
        var works = new List<ReplayWork>();
        var rig = Rig(policy, activation);
        var next = 0;
        foreach (var (step, pick) in steps)
        {
            switch (step)
            {
                case Step.Take:
                    var end = Math.Min(changes.Length, next + 1 + (pick % 4));
                    rig.Take(changes[next..end]);
                    next = end;
                    break;
                case Step.Replay:
                    works.Add(rig.Replay("other", [.. keys.Where((_, i) => (pick >> i) % 2 == 0).DefaultIfEmpty("none")]));
                    break;
                case Step.ReplayUnsaved:
                    works.Add(rig.Replay("other"));
                    break;
                case Step.Answer:
                    rig.Sink.AnswerOne(pick);
                    break;
                case Step.AnswerOther:
                    _other.AnswerOne(pick);
                    break;
                case Step.FailOther:
                    if (!fails.Remove(Sample.Version(pick % 40)))
                        fails.Add(Sample.Version(pick % 40));
                    break;
                case Step.SinkDown:
                    isDown = !isDown;
                    break;
                case Step.Refuse:
                    poison.Add(Sample.Version(pick % 40));
                    break;
                case Step.Sleep:
                    rig.Activations.Drop(new EntityKey(Sample.Orders.FullName, keys[pick % keys.Length]));
                    rig.RunTurns();
                    break;
                case Step.Pass:
                    await Pass(rig, TimeSpan.FromMilliseconds(pick * 5));
                    break;
                case Step.Checkpoint:
                    await rig.Checkpoint();
                    break;
                default:
                    if (step == Step.CheckpointAndCrash)
                        await rig.Checkpoint();
                    await rig.DisposeAsync();
                    crashes.Add(_other.Answered.Count);
                    rig.Sink.Open.Clear();
                    _other.Open.Clear();
                    works.Clear();
                    rig = Rig(policy, activation);
                    rig.Take(changes[..next]);
                    break;
            }

            await rig.Loaded();
        }

        isDown = false;
        fails.Clear();
        rig.Take(changes[next..]);
        await Settle(rig);
        Assert.Equal(0, rig.Partition.Unfinished);
        Assert.All(works, w => Assert.True(w.Done.Task.IsCompletedSuccessfully));
        var before = _other.Answered.Count;
        poison.Clear();
        rig.Replay("other", keys);
        await Settle(rig);
        foreach (var key in keys)
        {
            var last = changes.Last(c => c.Entity.Key == key);
            var replayed = _other.Answered.Skip(before).Where(e => e.Entity.Key == key && e.Origin != EventOrigin.Stream).ToList();
            if (last.Operation != ChangeOperation.Delete)
                Assert.Equal(last.Version, replayed[^1].Version);
        }

        var counted = rig.Outlet("other").ParkedBytes;
        await rig.DisposeAsync();
        Assert.Empty(_store.Parked);
        Assert.Empty(_store.ParkedEntities);
        Assert.Equal(0, counted);
        crashes.Add(_other.Answered.Count);
        var start = 0;
        foreach (var crash in crashes)
        {
            foreach (var entity in _other.Answered[start..crash].GroupBy(e => e.Entity))
            {
                var versions = entity.Select(e => e.Version).ToList();
                Assert.Equal(versions.Order(), versions);
            }

            start = crash;
        }
    }

    private PartitionRig Rig(DeliveryPolicy? policy = null, EntityActivation activation = EntityActivation.WhenNeeded) => new(_store, new RigOptions
    {
        Time = _time, Activation = activation, Delivery = policy ?? Policy, OtherSinks = [_other],
    });

    private async Task Answer(PartitionRig rig)
    {
        await rig.Loaded();
        rig.Sink.Answer(_ => true);
        _other.Answer(_ => true);
        await rig.Loaded();
    }

    private async Task Pass(PartitionRig rig, TimeSpan time)
    {
        _time.Advance(time);
        rig.LookAfter();
        await rig.Loaded();
    }

    private async Task Settle(PartitionRig rig)
    {
        for (var i = 0; i < 60; i++)
        {
            await Answer(rig);
            await rig.Checkpoint();
            await Pass(rig, TimeSpan.FromMilliseconds(500));
        }

        await Answer(rig);
        await rig.Checkpoint();
    }
}
