using CdcOrleans.Grains.Entities;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Testing.Pipeline;
using Microsoft.Extensions.Time.Testing;
using Xunit;
using static CdcOrleans.Testing.Pipeline.Changes;

namespace CdcOrleans.Unit.Grains;

/// <summary>When entities wake and go to sleep, and that nothing is lost on the way.</summary>
public sealed class EntityWakingTests
{
    private static readonly RigOptions Always = new() { Activation = EntityActivation.Always };
    private static readonly EntityKey A = new(Sample.Orders.FullName, "a");

    [Fact]
    public async Task A_lone_change_of_a_sleeping_entity_is_applied_in_passing()
    {
        await using var rig = new PartitionRig(new TestStore());
        rig.Take(Create("a", 1), Create("b", 2));
        Assert.Equal(EntityPhase.Passing, rig.Phase("a"));
        await rig.AnswerAll();
        await rig.Checkpoint();
        rig.Take(Update("a", 3));
        await rig.AnswerAll();

        Assert.Equal((0, 3L), (rig.Activations.Made, rig.Figures.Take().AppliedInPassing));
        Assert.Equal(EntityPhase.Asleep, rig.Phase("a"));
        Assert.Equal(["1"], rig.Format.Befores.Select(b => b[1]));
    }

    [Fact]
    public async Task A_change_wakes_its_entity_that_finds_another_under_way_or_waiting_or_not_written_out()
    {
        await using var rig = new PartitionRig(new TestStore());

        // Under way.
        rig.Take(Create("a", 1));
        rig.Take(Update("a", 2));
        Assert.Equal(EntityPhase.Passing, rig.Phase("a"));
        rig.Sink.Answer(_ => true);
        Assert.Equal(EntityPhase.Applying, rig.Phase("a"));

        // Waiting.
        rig.Take(Create("b", 3), Update("b", 4));
        Assert.Equal(EntityPhase.Applying, rig.Phase("b"));

        // Not written out.
        rig.Take(Create("c", 5));
        rig.Sink.Answer(d => Key(d) == "c");
        Assert.Equal(EntityPhase.Asleep, rig.Phase("c"));
        rig.Take(Update("c", 6));
        Assert.Equal(EntityPhase.Applying, rig.Phase("c"));

        await rig.AnswerAll();
        Assert.Equal(["a", "b", "c"], ((string[])["a", "b", "c"]).Where(k => rig.Phase(k) == EntityPhase.Awake));
        var figures = rig.Figures.Take();
        Assert.Equal((3, 3L, 3L, 0L, 2L), (rig.Activations.Count, figures.AwakeEntities, figures.EntitiesWoken, figures.EntitiesPutToSleep, figures.AppliedInPassing));
        foreach (var entity in rig.Sink.Answered.GroupBy(Key))
            Assert.Equal(entity.Select(e => e.Version).Order(), entity.Select(e => e.Version));
    }

    [Fact]
    public async Task A_state_that_was_written_lately_is_not_read_again_and_one_that_was_not_is()
    {
        var store = new TestStore();
        await using (var first = new PartitionRig(store))
        {
            first.Take(Create("a", 1), Create("b", 2));
            await first.AnswerAll();
            await first.Checkpoint();
            first.Take(Update("a", 3));
            await first.AnswerAll();
            await first.Checkpoint();
            Assert.Equal(0, store.Reads);
        }

        await using var second = new PartitionRig(store);
        second.Take(Update("a", 4));
        await second.AnswerAll();
        Assert.Equal(1, store.Reads);
        Assert.Equal("updated", second.Format.Befores[^1][1]);
    }

    [Fact]
    public async Task With_activation_always_every_change_comes_to_an_activation()
    {
        await using var rig = new PartitionRig(new TestStore(), Always);
        rig.Take(Create("a", 1), Create("b", 2));
        Assert.Equal(EntityPhase.Applying, rig.Phase("a"));
        await rig.AnswerAll();
        Assert.Equal((2, 0L), (rig.Activations.Count, rig.Figures.Take().AppliedInPassing));
        Assert.Equal(EntityPhase.Awake, rig.Phase("a"));
    }

    [Fact]
    public async Task An_activation_that_Orleans_drops_loses_nothing_and_nothing_overtakes()
    {
        await using var rig = new PartitionRig(new TestStore(), Always);
        rig.Take(Create("a", 1));
        rig.Take(Update("a", 2));
        rig.Activations.Drop(A);
        rig.Take(Update("a", 3));

        // The first delivery is still with the sink: the entity is nobody else's before it is answered.
        Assert.Equal(EntityPhase.Leaving, rig.Phase("a"));
        Assert.Single(rig.Sink.Open);
        await rig.AnswerAll();
        Assert.Equal([Sample.Version(1), Sample.Version(2), Sample.Version(3)], rig.Sink.Answered.Select(e => e.Version));
        Assert.Equal(2, rig.Activations.Made);
        Assert.Equal(["1", "updated"], rig.Format.Befores.Select(b => b[1]));
        Assert.Equal(Sample.Version(3), rig.Partition.Buffer.Cut()!.Progress);
    }

    [Fact]
    public async Task Changes_that_reach_an_activation_after_it_has_gone_come_back_in_their_order()
    {
        await using var rig = new PartitionRig(new TestStore(), Always);
        rig.Take(Create("a", 1));
        rig.Take(Update("a", 2));

        // The drop is queued first; then the partition, which does not know, gives another change.
        rig.Activations.Drop(A);
        rig.Partition.Take([Update("a", 3)]);
        rig.Partition.Take([Update("a", 4)]);
        await rig.AnswerAll();
        Assert.Equal(Enumerable.Range(1, 4).Select(i => Sample.Version(i)), rig.Sink.Answered.Select(e => e.Version));
    }

    [Fact]
    public async Task An_activation_that_cannot_be_had_is_asked_for_again()
    {
        var time = new FakeTimeProvider();
        await using var rig = new PartitionRig(new TestStore(), Always with { Time = time });
        rig.Activations.Failing = 2;
        rig.Take(Create("a", 1));
        Assert.Equal((EntityPhase.Asleep, 0), (rig.Phase("a"), rig.Activations.Count));
        time.Advance(TimeSpan.FromMilliseconds(50));
        await rig.Loaded();
        Assert.Equal((EntityPhase.Asleep, 0), (rig.Phase("a"), rig.Activations.Failing));
        time.Advance(TimeSpan.FromMilliseconds(50));
        await rig.Loaded();
        Assert.Equal(EntityPhase.Applying, rig.Phase("a"));
        await rig.AnswerAll();
        Assert.Single(rig.Sink.Answered);
    }

    [Fact]
    public async Task Few_activations_are_requested_at_a_time_and_failed_ones_leave_room_for_others()
    {
        var time = new FakeTimeProvider();
        await using var rig = new PartitionRig(new TestStore(), Always with { Time = time });
        rig.Activations.Failing = 40;
        rig.Take([.. Enumerable.Range(1, 200).Select(k => Create($"{k}", k))]);
        time.Advance(TimeSpan.FromMilliseconds(50));
        await rig.Loaded();
        await rig.AnswerAll();
        Assert.Equal((200, 0), (rig.Sink.Answered.Count, rig.Activations.Failing));
        Assert.InRange(rig.Activations.MostWaking, 8, 32);
    }

    [Fact]
    public async Task Entities_that_get_more_changes_while_they_wait_to_wake_take_no_room_from_others()
    {
        await using var rig = new PartitionRig(new TestStore(), Always with { Budget = 30_000 });

        // Most of them wait, twice. They are asleep again when their second turn comes.
        rig.Sink.AfterAnswer = () => { };
        rig.Partition.Take([.. Enumerable.Range(1, 200).Select(k => Create($"{k}", k))]);
        rig.Partition.Take([.. Enumerable.Range(1, 200).Select(k => Update($"{k}", 1000 + k))]);
        AnswerAtOnce();
        rig.Partition.Take([.. Enumerable.Range(1, 200).Select(k => Update($"{k}", 2000 + k))]);
        AnswerAtOnce();
        Assert.Equal(600, rig.Sink.Answered.Count);

        void AnswerAtOnce()
        {
            while (rig.RunTurn())
                rig.Sink.Answer(_ => true);
        }
    }

    [Fact]
    public async Task Entities_unused_for_long_go_to_sleep_where_there_is_no_other_work_too()
    {
        var time = new FakeTimeProvider();
        await using var rig = new PartitionRig(new TestStore(), Always with { Time = time });
        rig.Take(Create("a", 1));
        await rig.AnswerAll();
        time.Advance(TimeSpan.FromMinutes(3));
        rig.Take(Create("b", 2));
        await rig.AnswerAll();
        time.Advance(TimeSpan.FromMinutes(3));
        rig.Partition.Sweep(TimeSpan.FromMinutes(5));
        rig.RunTurns();
        Assert.Equal((EntityPhase.Asleep, EntityPhase.Awake), (rig.Phase("a"), rig.Phase("b")));
        Assert.Equal(1, rig.Activations.Count);
    }

    [Fact]
    public async Task Entities_go_to_sleep_beyond_the_budget_those_unused_longest_first_and_come_back_with_their_rows()
    {
        await using var rig = new PartitionRig(new TestStore(), Always with { Budget = 15_000 });
        for (var i = 1; i <= 100; i++)
        {
            rig.Take(Create("k" + i, i));
            await rig.AnswerAll();
            if (i == 50)
                await rig.Checkpoint();
        }

        Assert.InRange(rig.Activations.Count, 1, 5);
        Assert.InRange(rig.Budget.Bytes, 1, 15_000);
        Assert.Equal(EntityPhase.Awake, rig.Phase("k100"));
        rig.Take(Update("k1", 101), Update("k99", 102));
        await rig.AnswerAll();
        Assert.Equal(["k1", "k99"], rig.Format.Befores.TakeLast(2).Select(b => b[0]).Order());
    }

    [Fact]
    public async Task However_many_are_woken_at_once_memory_stays_near_the_budget()
    {
        await using var rig = new PartitionRig(new TestStore(), Always with { Budget = 30_000 });
        var most = 0;
        for (var i = 0; i < 50; i++)
        {
            rig.Take([.. Enumerable.Range(1, 20).Select(k => Create($"{i}-{k}", (100 * i) + k))]);
            most = Math.Max(most, rig.Activations.Count);
            rig.Sink.Answer(_ => true);
            most = Math.Max(most, rig.Activations.Count);
        }

        await rig.AnswerAll();
        Assert.Equal(1000, rig.Sink.Answered.Count);

        // Twenty are at work at once, and those that leave may overlap with those that come.
        Assert.InRange(most, 1, 20 + (30_000 / EntityGrain.Overhead));
        Assert.InRange(rig.Budget.Bytes, 1, 30_000);
    }

    [Fact]
    public async Task What_is_forgotten_of_a_table_puts_its_entities_to_sleep()
    {
        var store = new TestStore();
        await using var rig = new PartitionRig(store, Always);
        rig.Take(Create("a", 1));
        await rig.AnswerAll();
        await rig.Checkpoint();
        store.States.Clear();
        rig.Partition.Forget([Sample.Orders.TableId], default);
        rig.Take(Update("a", 2));
        await rig.AnswerAll();
        Assert.Empty(rig.Format.Befores);
        Assert.Equal(2, rig.Activations.Made);
    }

    [Fact]
    public async Task The_end_of_the_partition_ends_its_entities_and_those_that_come_too_late()
    {
        await using var rig = new PartitionRig(new TestStore(), Always);
        rig.Take(Create("a", 1));
        rig.Partition.Close();
        rig.RunTurns();
        Assert.Equal(0, rig.Activations.Count);
        rig.Partition.OnWoken(rig.Activations.Find(A));
        rig.RunTurns();
        Assert.Equal((0, 0L), (rig.Activations.Count, rig.Figures.Take().AwakeEntities));
    }
}
