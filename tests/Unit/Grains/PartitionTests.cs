using CdcOrleans.Grains.Entities;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing.Pipeline;
using CsCheck;
using Xunit;
using static CdcOrleans.Testing.Pipeline.Changes;

namespace CdcOrleans.Unit.Grains;

/// <summary>A partition over a sink and a store that answer when the test says so.</summary>
public sealed class PartitionTests
{
    private enum Step
    {
        Take,
        Answer,
        Checkpoint,
        Drop,
        FailWake,
        Ask,
        Crash,
    }

    /// <summary>
    /// Random histories of changes to few entities, with sinks answering in any order, checkpoints at any time, activations that Orleans
    /// drops or cannot make, questions, a budget that is too small, and crashes in between: per entity the sink sees versions in order;
    /// each once but for what repeats after a crash; and everything at last.
    /// </summary>
    [Fact]
    public void Order_and_dedupe_hold_over_random_histories() =>
        Gen.Select(
            Gen.Int[0, 4].Array[1, 60],
            Gen.Select(
                Gen.OneOf(Step.Take, Step.Take, Step.Answer, Step.Answer, Step.Checkpoint, Step.Drop, Step.FailWake, Step.Ask, Step.Crash), Gen.Int[0, 1000])
                .Array[0, 150],
            Gen.OneOf(
                new RigOptions(),
                new RigOptions { Activation = EntityActivation.Always },
                new RigOptions { Activation = EntityActivation.Always, Budget = 6000 },
                new RigOptions { Budget = 6000 },
                new RigOptions { Mode = EntityMode.Version },
                new RigOptions { Mode = EntityMode.Off }))
            .Sample((entities, steps, options) => Run(entities, steps, options).GetAwaiter().GetResult(), iter: 1000);

    [Fact]
    public async Task An_entity_ahead_of_its_partitions_progress_is_not_applied_twice()
    {
        var store = new TestStore();
        await using (var first = new PartitionRig(store))
        {
            // The first change's delivery stays open, the second's is answered: the checkpoint has entity b ahead of the progress.
            first.Take(Create("a", 1), Create("b", 2));
            first.Sink.Answer(d => d.Events[0].Version == Sample.Version(2));
            await first.Checkpoint();
        }

        Assert.Equal(ChangeVersion.None, store.Claims.Progress);
        Assert.Equal(Sample.Version(2), store.Claims.High);
        await using var second = new PartitionRig(store);
        second.Take(Create("a", 1), Create("b", 2), Create("b", 3));
        await second.AnswerAll();
        Assert.Equal([Sample.Version(1), Sample.Version(3)], second.Sink.Answered.Select(e => e.Version));
        Assert.Equal(Sample.Version(3), second.Partition.Buffer.Cut()!.Progress);
    }

    [Fact]
    public async Task A_hot_entitys_changes_leave_as_one_batch_while_one_is_under_way()
    {
        await using var rig = new PartitionRig(new TestStore());
        rig.Take(Create("a", 1));
        for (var i = 2; i <= 100; i++)
            rig.Take(Create("a", i), Create("b" + i, i, 2));
        Assert.Single(rig.Sink.Open, d => d.Events[0].Version == Sample.Version(1));
        Assert.Single(rig.Sink.Open, d => Key(d) == "a");

        rig.Sink.Answer(d => Key(d) == "a");
        Assert.Equal(99, rig.Sink.Open.Single(d => Key(d) == "a").Events.Count);
        await rig.AnswerAll();
        Assert.Equal(Enumerable.Range(1, 100).Select(i => Sample.Version(i)), rig.Sink.Answered.Where(e => Key(e) == "a").Select(e => e.Version));
    }

    [Fact]
    public async Task A_refused_event_becomes_a_dead_letter_and_its_neighbours_and_successors_go_on()
    {
        await using var rig = new PartitionRig(new TestStore());
        rig.Sink.Refuse = e => e.Version == Sample.Version(1);
        rig.Take(Create("a", 1), Create("b", 2), Create("a", 3));
        await rig.AnswerAll();
        var cut = rig.Partition.Buffer.Cut()!;
        var letter = Assert.Single(cut.DeadLetters);
        Assert.Equal(("a", Sample.Version(1), "sink", "no"), (letter.Entity.Key, letter.Version, letter.Sink, letter.Error));
        Assert.Equal(Sample.Version(3), cut.Progress);
    }

    [Theory]
    [InlineData(EntityActivation.Always, true)]
    [InlineData(EntityActivation.Always, false)]
    [InlineData(EntityActivation.WhenNeeded, true)]
    [InlineData(EntityActivation.WhenNeeded, false)]
    public async Task No_checkpoint_has_a_state_without_the_dead_letter_or_the_parked_event_of_its_change(EntityActivation activation, bool isRefused)
    {
        await using var rig = new PartitionRig(
            new TestStore(), new RigOptions { Activation = activation, Delivery = DeliveryPolicy.Default with { Inline = TimeSpan.Zero } });
        rig.Sink.Refuse = _ => isRefused;
        rig.Sink.Fails = _ => DeliveryFailure.OfEvent("later");
        rig.Take(Create("a", 1));
        await rig.Loaded();
        rig.Sink.AfterAnswer = () => { };
        rig.Sink.Answer(_ => true);
        while (rig.RunTurn())
        {
            if (rig.Partition.Buffer.Cut() is not { } cut)
                continue;
            Assert.Equal(isRefused ? (1, 0) : (0, 1), (cut.DeadLetters.Count, cut.Parked.Count));
            rig.Partition.Buffer.Failed();
        }

        Assert.Equal(Sample.Version(1), rig.Partition.Buffer.Cut()!.Progress);
    }

    [Fact]
    public async Task A_change_that_cannot_be_formatted_becomes_a_dead_letter_too()
    {
        await using var rig = new PartitionRig(new TestStore());
        rig.Format.Breaks = v => v == Sample.Version(1);
        rig.Take(Create("a", 1), Create("b", 2));
        await rig.AnswerAll();
        var cut = rig.Partition.Buffer.Cut()!;
        Assert.Equal(Sample.Version(1), Assert.Single(cut.DeadLetters).Version);
        Assert.Equal(Sample.Version(2), cut.Progress);
    }

    [Fact]
    public async Task A_truncation_leaves_nothing_of_its_table_and_makes_one_event()
    {
        var store = new TestStore();
        await using var rig = new PartitionRig(store, new RigOptions { Activation = EntityActivation.Always, Events = new EventOptions { Skip = SkippedOperations.None } });
        var other = Sample.Change(ChangeOperation.Create, "x", Sample.Version(2), Sample.Row("x", "kept", null), table: Sample.Table("kept", 1, "id", "status", "note"));
        rig.Take(Create("a", 1), other);
        await rig.AnswerAll();
        await rig.Checkpoint();
        await store.Truncate("shop", 1, Sample.Orders.TableId, Sample.Version(3), CancellationToken.None);

        rig.Take(Sample.Change(ChangeOperation.Truncate, "", Sample.Version(3)));
        await rig.AnswerAll();
        Assert.Equal(Sample.Version(3), rig.Sink.Answered[^1].Version);
        Assert.Equal(EntityPhase.Asleep, rig.Phase("a"));
        Assert.Equal(EntityPhase.Awake, rig.Partition.PhaseOf(new EntityKey("public.kept", "x")));

        // What comes after knows nothing of before.
        rig.Take(Update("a", 4));
        await rig.AnswerAll();
        Assert.Empty(rig.Format.Befores);
    }

    [Fact]
    public async Task A_truncation_leaves_nothing_of_states_that_were_written_lately()
    {
        var store = new TestStore();
        await using var rig = new PartitionRig(store);
        rig.Take(Create("a", 1));
        await rig.AnswerAll();
        await rig.Checkpoint();
        await store.Truncate("shop", 1, Sample.Orders.TableId, Sample.Version(2), CancellationToken.None);
        rig.Take(Sample.Change(ChangeOperation.Truncate, "", Sample.Version(2)), Update("a", 3));
        await rig.AnswerAll();
        Assert.Empty(rig.Format.Befores);
    }

    [Theory]
    [InlineData(SkippedOperations.Create, 0)]
    [InlineData(SkippedOperations.Update, 1)]
    public async Task A_skipped_operation_makes_no_event_and_changes_the_state_all_the_same(SkippedOperations skip, int events)
    {
        await using var rig = new PartitionRig(new TestStore(), new RigOptions { Events = new EventOptions { Skip = skip } });
        rig.Take(Create("a", 1));
        await rig.AnswerAll();
        Assert.Equal(events, rig.Sink.Answered.Count);
        Assert.Equal(Sample.Version(1), rig.Partition.Buffer.Find(new EntityKey("public.orders", "a"))!.Version);
        Assert.Equal(1 - events, rig.Figures.Take().Skipped);
    }

    [Theory]
    [InlineData("*", 0, 1)]
    [InlineData("mall.*", 2, 0)]
    public async Task What_makes_no_event_counts_once_as_unrouted_or_as_skipped(string route, int unrouted, int skipped)
    {
        var events = new EventOptions { Skip = SkippedOperations.Create };
        var store = new TestStore();
        await using (var first = new PartitionRig(store, new RigOptions { Events = events, Route = route }))
        {
            first.Take(Create("a", 1), Update("a", 2));
            await first.AnswerAll();
            Assert.Equal((unrouted, skipped), (first.Figures.Take().Unrouted, first.Figures.Take().Skipped));

            // Their states are durable, their partition's progress is not.
            await first.Checkpoint();
            store.Forget();
        }

        await using var second = new PartitionRig(store, new RigOptions { Events = events, Route = route });
        second.Take(Create("a", 1), Update("a", 2));
        await second.AnswerAll();
        Assert.Equal((0, 0, 2), (second.Figures.Take().Unrouted, second.Figures.Take().Skipped, second.Figures.Take().Duplicates));
    }

    [Theory]
    [InlineData(EntityMode.Row)]
    [InlineData(EntityMode.Off)]
    public async Task Once_closed_nothing_that_waits_is_handed_over(EntityMode mode)
    {
        await using var rig = new PartitionRig(new TestStore(), new RigOptions { Mode = mode });
        rig.Take(Create("a", 1));
        rig.Take(Create("a", 2), Create("b", 3));
        await rig.Loaded();
        var before = rig.Sink.Open.Count;
        rig.Partition.Close();
        rig.RunTurns();
        while (rig.Sink.Open.Count > 0)
            rig.Sink.Answer(_ => true);
        await rig.Loaded();
        Assert.Equal(before, rig.Sink.Answered.Count);
        Assert.DoesNotContain(rig.Sink.Answered, e => e.Version == Sample.Version(2));
        Assert.Equal((0, 0), (rig.Activations.Count, rig.Budget.Bytes));
        Assert.Throws<InvalidOperationException>(() => rig.Take(Create("c", 4)));
    }

    [Fact]
    public async Task Once_ended_a_state_that_arrives_starts_nothing()
    {
        var store = new TestStore();
        await using (var first = new PartitionRig(store))
        {
            first.Take(Create("a", 1));
            await first.AnswerAll();
            await first.Checkpoint();
        }

        await using var rig = new PartitionRig(store);
        rig.Partition.Take([Update("a", 2)]);
        rig.Partition.End();
        for (var i = 0; i < 100; i++)
            await rig.Loaded();
        Assert.Empty(rig.Sink.Open);
    }

    [Fact]
    public async Task Applies_with_large_rows_wait_for_room_in_order_and_small_ones_pass_by()
    {
        await using var rig = new PartitionRig(new TestStore(), new RigOptions { Memory = 4 << 20 });
        var large = new string('x', 100_000);
        for (var i = 1; i <= 300; i++)
            rig.Take(Large("k" + i, i, large));
        rig.Take(Create("small", 301));
        await rig.AnswerAll();
        await rig.Checkpoint();
        Assert.Equal((0, 0), (rig.Memory.Use.Applies, rig.Memory.Use.Unsaved));
        rig.Sink.Answered.Clear();

        // The stored row, the completed row, and three copies of an event with both.
        const int most = (4 << 20) / 800_000;
        for (var i = 1; i <= 300; i++)
            rig.Take(Touched("k" + i, 1000 + i));
        rig.Take(Touched("k300", 1301));
        Assert.InRange(rig.Sink.Open.Count, 2, most);
        Assert.InRange(rig.Memory.Use.Applies, 1, 4 << 20);
        Assert.NotEqual(0, rig.Memory.Use.Waiting);
        rig.Take(Update("small", 2000));
        Assert.Equal("small", Key(rig.Sink.Open[^1]));

        // What is applied and not durable takes room as well, until the next checkpoint.
        while (rig.Partition.Unfinished > 0)
        {
            Assert.InRange(rig.Sink.Open.Count, 0, 1 + most);
            Assert.InRange(rig.Memory.Use.Applies + rig.Memory.Use.Unsaved, 0, (4 << 20) + 100_000);
            if (rig.Sink.Open.Count > 0)
                rig.Sink.AnswerOne(0);
            else
                await rig.Checkpoint();
            await rig.Loaded();
        }

        Assert.Equal(Enumerable.Range(1001, 301).Select(i => Sample.Version(i)), rig.Sink.Answered.Select(e => e.Version).Where(v => v < Sample.Version(2000)));
        Assert.Equal(301, rig.Format.Befores.Count(b => b[2] == large));
        Assert.Equal(0, rig.Memory.Use.Applies);
    }

    [Theory]
    [InlineData(EntityActivation.WhenNeeded)]
    [InlineData(EntityActivation.Always)]
    public async Task While_the_control_database_is_out_what_is_applied_stays_within_the_memory_budget(EntityActivation activation)
    {
        const int limit = 4 << 20;
        var store = new TestStore();
        await using var rig = new PartitionRig(store, new RigOptions { Activation = activation, Memory = limit, Budget = 1 << 20 });
        var large = new string('x', 100_000);
        for (var i = 1; i <= 100; i++)
            rig.Take(Large("k" + i, i, large));
        await rig.AnswerAll();
        await rig.Checkpoint();
        rig.Sink.Answered.Clear();

        store.Trouble = new TimeoutException();
        for (var i = 1; i <= 100; i++)
            rig.Take(Touched("k" + i, 1000 + i));
        while (rig.Memory.Use is not { Applies: 0, Waiting: > 0 })
        {
            await rig.Loaded();
            rig.Sink.Answer(_ => true);
            Assert.InRange(rig.Memory.Use.Applies + rig.Memory.Use.Unsaved, 0, limit + 100_000);
        }

        await Assert.ThrowsAsync<TimeoutException>(rig.Checkpoint);
        Assert.InRange(rig.Sink.Answered.Count, 20, 45);
        Assert.NotEqual(0, rig.Memory.Use.Waiting);

        store.Trouble = null;
        await rig.AnswerAll();
        await rig.Checkpoint();
        Assert.Equal(100, rig.Sink.Answered.Select(e => e.Version).Distinct().Count());
        Assert.Equal(100, rig.Format.Befores.Count(b => b[2] == large));
        Assert.Equal((0, 0, 0), (rig.Memory.Use.Applies, rig.Memory.Use.Unsaved, rig.Memory.Use.Waiting));
    }

    [Fact]
    public async Task An_apply_larger_than_all_room_passes_by_itself_and_what_has_ended_gives_its_room_back()
    {
        await using var rig = new PartitionRig(new TestStore(), new RigOptions { Memory = 2 << 20 });
        rig.Take(Large("a", 1, new string('x', 3 << 20)), Large("b", 2, new string('x', 100_000)));
        await rig.AnswerAll();
        await rig.Checkpoint();
        rig.Take(Touched("a", 3), Touched("b", 4));
        Assert.Equal("a", Key(Assert.Single(rig.Sink.Open)));
        rig.Sink.Answer(_ => true);
        Assert.Empty(rig.Sink.Open);
        await rig.Checkpoint();
        await rig.Loaded();
        Assert.Equal("b", Key(Assert.Single(rig.Sink.Open)));

        rig.Sink.Answer(_ => true);

        rig.Take(Touched("a", 6));
        rig.Partition.Close();
        rig.Sink.Answer(_ => true);
        await rig.Loaded();
        Assert.Empty(rig.Sink.Open);
        Assert.Equal((0, 0), (rig.Memory.Use.Applies, rig.Memory.Use.Unsaved));
    }

    private static async Task Run(int[] entities, (Step Step, int Pick)[] steps, RigOptions options)
    {
        var store = new TestStore();
        var changes = entities.Select((e, i) => Create("k" + e, i + 1)).ToArray();
        var seen = new List<SinkEvent>();
        var crashes = 0;
        var rig = new PartitionRig(store, options);
        var next = 0;
        foreach (var (step, pick) in steps)
        {
            var key = new EntityKey(Sample.Orders.FullName, "k" + (pick % 5));
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
                case Step.Checkpoint:
                    await rig.Checkpoint();
                    break;
                case Step.Drop:
                    rig.Activations.Drop(key);
                    break;
                case Step.FailWake:
                    rig.Activations.Failing = 1;
                    break;
                case Step.Ask when options.Mode != EntityMode.Off:
                    var asked = rig.Activations.Find(key).GetState();
                    rig.RunTurns();
                    var view = await asked;
                    var answered = rig.Sink.Answered.Where(e => Key(e) == key.Key).Select(e => e.Version).DefaultIfEmpty().Max();
                    var before = store.States.GetValueOrDefault(new StateKey(Sample.Orders.TableId, key.Key))?.Version ?? ChangeVersion.None;
                    Assert.Equal(answered > before ? answered : before, view?.Version ?? ChangeVersion.None);
                    break;
                case Step.Crash:
                    seen.AddRange(rig.Sink.Answered);
                    await rig.DisposeAsync();
                    rig = new PartitionRig(store, options);
                    crashes++;

                    // The slot was confirmed no further than durable progress: everything after it is streamed again.
                    next = changes.Count(c => c.Version <= store.Claims.Progress);
                    break;
            }

            await rig.Loaded();
        }

        if (next < changes.Length)
            rig.Take(changes[next..]);
        await rig.AnswerAll();
        await rig.Checkpoint();
        seen.AddRange(rig.Sink.Answered);
        Assert.Equal(rig.Activations.Count, rig.Figures.Take().AwakeEntities);
        await rig.DisposeAsync();

        foreach (var entity in changes.GroupBy(c => c.Entity.Key))
        {
            var versions = seen.Where(e => Key(e) == entity.Key).Select(e => e.Version).ToList();
            Assert.Equal(entity.Select(c => c.Version), versions.Distinct().Order());
            if (crashes == 0)
                Assert.Equal(entity.Select(c => c.Version), versions);
        }

        Assert.Equal(changes[^1].Version, store.Claims.Progress);
        if (options.Mode == EntityMode.Row)
        {
            foreach (var entity in changes.GroupBy(c => c.Entity))
                Assert.Equal(entity.Last().Version, store.States[new StateKey(Sample.Orders.TableId, entity.Key.Key)].Version);
        }
    }
}
