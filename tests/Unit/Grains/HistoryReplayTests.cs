using CdcOrleans.Grains.Deliveries;
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

/// <summary>Past changes that are replayed to one sink while changes of the same entities are on their way: their place in the order.</summary>
public sealed class HistoryReplayTests
{
    private static readonly DeliveryPolicy Policy = new()
    {
        Inline = TimeSpan.FromSeconds(2),
        Backoff = new RetryPolicy(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(10), Jitter: 0),
    };

    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private readonly TestSink _other = new() { Name = "other" };
    private readonly TestStore _store = new();
    private readonly List<ReplayWork> _works = [];

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
    public async Task Every_past_change_comes_again_in_order_and_later_ones_follow_behind(EntityActivation activation)
    {
        await using var rig = Rig(activation: activation);
        rig.Take(Create("a", 1));
        await Settle(rig);
        rig.Take(Update("a", 2));
        await Settle(rig);
        rig.Take(Update("a", 3));
        await Answer(rig);
        _other.Answered.Clear();

        // The third change is not durable yet.
        var work = rig.Replay("other", JournalWindow.All, "a");
        await rig.Loaded();
        Assert.Empty(_other.Open);
        rig.Take(Update("a", 4));
        await Answer(rig);
        Assert.Empty(_other.Answered);
        Assert.Equal(Sample.Version(4), rig.Sink.Answered[^1].Version);
        await Settle(rig);
        Assert.True(work.Done.Task.IsCompletedSuccessfully);
        Assert.Equal([3, 0, 0], work.Finished);
        Assert.Equal(
            [(1, EventOrigin.Replay), (2, EventOrigin.Replay), (3, EventOrigin.Replay), (4, EventOrigin.Redelivery)],
            _other.Answered.Select(e => ((int)e.Version.CommitLsn.Value, e.Origin)));
        Assert.DoesNotContain(rig.Sink.Answered, e => e.Origin == EventOrigin.Replay);
        Assert.Empty(_store.ParkedEntities);
        Assert.Equal(0, rig.Partition.Unfinished);

        // The entity goes on as before.
        rig.Take(Update("a", 5));
        await Settle(rig);
        Assert.Equal(EventOrigin.Stream, _other.Answered[^1].Origin);
    }

    [Fact]
    public async Task Past_changes_queue_behind_parked_ones_and_are_parked_with_their_marks()
    {
        await using var rig = Rig(Policy with { Inline = TimeSpan.Zero });
        rig.Take(Create("a", 1));
        await Settle(rig);
        var isFailing = true;
        _other.Fails = _ => isFailing ? DeliveryFailure.OfEvent("later") : null;
        rig.Take(Update("a", 2));
        await Answer(rig);
        await rig.Checkpoint();
        Assert.Single(_store.Parked);
        var work = rig.Replay("other", JournalWindow.All, "a");
        for (var i = 0; i < 5 && !work.Done.Task.IsCompleted; i++)
        {
            await rig.Loaded();
            await rig.Checkpoint();
        }

        Assert.True(work.Done.Task.IsCompletedSuccessfully);
        Assert.Equal(2, work.Parked);
        rig.Take(Update("a", 3));
        await Answer(rig);
        await rig.Checkpoint();
        Assert.Equal(4, _store.Parked.Count);
        _other.Answered.Clear();
        isFailing = false;
        await Settle(rig);
        Assert.Equal(
            [(2, EventOrigin.Redelivery), (1, EventOrigin.Replay), (2, EventOrigin.Replay), (3, EventOrigin.Redelivery)],
            _other.Answered.Where(e => e.Failure is null).Select(e => ((int)e.Version.CommitLsn.Value, e.Origin)));
        Assert.Empty(_store.ParkedEntities);
        Assert.Equal(0, rig.Outlet("other").ParkedBytes);
    }

    [Fact]
    public async Task A_sink_that_does_not_take_an_event_gets_the_rest_in_order_when_it_does()
    {
        await using var rig = Rig(Policy with { Inline = TimeSpan.Zero });
        rig.Take([.. Enumerable.Range(1, 7).Select(i => Create("a", i))]);
        await Settle(rig);
        var fails = true;
        _other.Answered.Clear();
        _other.Fails = e => fails && e.Version == Sample.Version(4) ? DeliveryFailure.OfEvent("later") : null;
        _other.Refuse = e => e.Version == Sample.Version(3);
        var work = rig.Replay("other", JournalWindow.All, "a");
        await Settle(rig, 5);
        Assert.Equal((1, 4), (work.Refused, work.Parked));
        Assert.Equal([7, 0, 0], work.Finished);
        Assert.Equal([Sample.Version(3)], _store.DeadLetters.Select(l => l.Version));
        Assert.Equal(EventOrigin.Replay, _store.DeadLetters[0].Origin);
        fails = false;
        await Settle(rig);
        Assert.Equal([1, 2, 4, 5, 6, 7], _other.Answered.Where(e => e.Failure is null).Select(e => (int)e.Version.CommitLsn.Value));
    }

    [Fact]
    public async Task A_second_replay_of_an_entity_begins_after_the_first()
    {
        await using var rig = Rig();
        rig.Take(Create("a", 1), Update("a", 2));
        await Settle(rig);
        _other.Answered.Clear();
        var first = rig.Replay("other", JournalWindow.All, "a");
        await rig.Loaded();
        Assert.Single(_other.Open);
        var second = rig.Replay("other", JournalWindow.All, "a");
        await Settle(rig);
        Assert.True(first.Done.Task.IsCompletedSuccessfully && second.Done.Task.IsCompletedSuccessfully);
        Assert.Equal([1, 2, 1, 2], _other.Answered.Select(e => (int)e.Version.CommitLsn.Value));
    }

    [Fact]
    public async Task A_truncation_waits_for_past_changes_that_are_on_their_way_and_a_sink_out_of_reach_does_not_hold_it_up()
    {
        await using var rig = Rig(Policy with { Inline = TimeSpan.Zero });
        rig.Take(Create("a", 1), Create("b", 2));
        await Settle(rig);
        rig.Replay("other", JournalWindow.All, "a");
        await rig.Loaded();
        Assert.Single(_other.Open);
        var quiet = rig.Partition.HoldReplays([Sample.Orders.TableId]);
        Assert.False(quiet.IsCompleted);
        _other.Fails = _ => DeliveryFailure.OfSink("gone");
        await Settle(rig, 3);
        await quiet;
        Assert.Single(_store.Parked);
    }

    [Fact]
    public async Task A_partition_that_leaves_waits_for_the_sink_and_reads_no_more()
    {
        await using var rig = Rig();
        rig.Take([.. Enumerable.Range(1, 7).Select(i => Create("a", i))]);
        await Settle(rig);
        _other.Answered.Clear();
        var work = rig.Replay("other", JournalWindow.All, "a");
        await rig.Loaded();
        var drained = rig.Partition.Drain();
        Assert.False(drained.IsCompleted);
        await Answer(rig);
        await drained;
        Assert.Equal(2, _other.Answered.Count);
        Assert.False(work.Done.Task.IsCompleted);
    }

    /// <summary>
    /// Random histories with replays, a sink that fails, refuses, hangs and goes out of reach, and crashes. What an entity sends to the sink is
    /// its changes without a gap, and now and then begins anew with the first one; it ends with the newest one.
    /// </summary>
    [Fact]
    public void Changes_come_without_a_gap_over_random_histories() =>
        Gen.Select(
            Gen.Int[0, 3].Array[1, 40],
            Gen.Select(Gen.Enum<Step>(), Gen.Int[0, 1000]).Array[0, 120],
            Gen.OneOf(EntityActivation.WhenNeeded, EntityActivation.Always),
            Gen.OneOf(Policy, Policy with { Outage = OutagePolicy.Hold }, Policy with { Inline = TimeSpan.Zero }, Policy with { SpillBytes = 600 }))
            .Sample((entities, steps, activation, policy) => new HistoryReplayTests().Run(entities, steps, activation, policy).GetAwaiter().GetResult(), iter: 1000);

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
                    _works.Add(rig.Replay("other", JournalWindow.All, [.. keys.Where((_, i) => (pick >> i) % 2 == 0).DefaultIfEmpty("none")]));
                    break;
                case Step.ReplayUnsaved:
                    _works.Add(rig.Replay("other", JournalWindow.All));
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
                    _works.Clear();
                    rig = Rig(policy, activation);

                    // The log is sent again, sooner or later.
                    next = pick % (next + 1);
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
        Assert.All(_works, w => Assert.True(w.Done.Task.IsCompletedSuccessfully));
        HashSet<ChangeVersion> refused = [.. poison];
        poison.Clear();
        var before = _other.Answered.Count;
        var last = rig.Replay("other", JournalWindow.All, keys);
        await Settle(rig);
        Assert.True(last.Done.Task.IsCompletedSuccessfully);
        var counted = rig.Outlet("other").ParkedBytes;
        await rig.DisposeAsync();
        Assert.Empty(_store.Parked);
        Assert.Empty(_store.ParkedEntities);
        Assert.Equal(0, counted);
        foreach (var key in keys)
        {
            List<ChangeVersion> all = [.. changes.Where(c => c.Entity.Key == key).Select(c => c.Version)];
            Assert.Equal(all, Versions(_other.Answered.Skip(before), key));
        }

        crashes.Add(_other.Answered.Count);
        var start = 0;
        foreach (var (number, crash) in crashes.Index())
        {
            foreach (var key in keys)
                AssertWithoutGap(Versions(_other.Answered[start..crash], key), [.. changes.Where(c => c.Entity.Key == key).Select(c => c.Version)], refused, number == 0);
            start = crash;
        }
    }

    private static List<ChangeVersion> Versions(IEnumerable<SinkEvent> events, string key) =>
        [.. events.Where(e => e.Entity.Key == key && e.Part == 0).Select(e => e.Version)];

    private static void AssertWithoutGap(List<ChangeVersion> seen, List<ChangeVersion> all, HashSet<ChangeVersion> refused, bool isFirst)
    {
        // After a crash, what is parked goes on anywhere, and may be followed by what is newer.
        var place = isFirst ? -1 : int.MaxValue;
        foreach (var version in seen)
        {
            var at = all.IndexOf(version);
            var isNext = isFirst ? at >= place && IsWithoutGap(place + 1, at) : place == int.MaxValue || at >= place;
            Assert.True(isNext || IsWithoutGap(0, at), $"{version} came after change {place} of {string.Join(", ", all)}: {string.Join(", ", seen)}");
            place = at;
        }

        bool IsWithoutGap(int from, int to) => all.Skip(from).Take(to - from).All(refused.Contains);
    }

    private PartitionRig Rig(DeliveryPolicy? policy = null, EntityActivation activation = EntityActivation.WhenNeeded) => new(_store, new RigOptions
    {
        Time = _time, Activation = activation, Delivery = policy ?? Policy, OtherSinks = [_other], HasJournal = true,
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

        // Whoever runs a replay asks for its parts again and again.
        foreach (var work in _works)
            work.AskedAt = _time.GetTimestamp();
        rig.LookAfter();
        await rig.Loaded();
    }

    private async Task Settle(PartitionRig rig, int rounds = 60)
    {
        // Replays of an entity follow each other, and each sends a page in a round.
        for (var i = 0; i < rounds || (i < 20 * rounds && _works.Exists(w => !w.Done.Task.IsCompleted)); i++)
        {
            await Answer(rig);
            await rig.Checkpoint();
            await Pass(rig, TimeSpan.FromMilliseconds(500));
        }

        await Answer(rig);
        await rig.Checkpoint();
    }
}
