using CdcOrleans.Grains.Entities;
using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Model.Entities;
using CdcOrleans.Testing.Pipeline;
using Xunit;
using static CdcOrleans.Testing.Pipeline.Changes;

namespace CdcOrleans.Unit.Grains;

/// <summary>An entity's grain answers for it, awake or asleep.</summary>
public sealed class EntityQuestionTests
{
    private static readonly EntityKey A = new(Sample.Orders.FullName, "a");

    [Fact]
    public async Task A_question_wakes_a_sleeping_entity_which_answers_with_its_last_applied_state()
    {
        var store = new TestStore();
        await using var rig = new PartitionRig(store);
        rig.Take(Create("a", 1));
        await rig.AnswerAll();
        await rig.Checkpoint();

        var view = await Ask(rig);
        Assert.Equal((Sample.Version(1), "a|1|", false, 0), (view!.Version, view.Row, view.Awake, view.Waiting));
        Assert.Equal(EntityPhase.Awake, rig.Phase("a"));
        Assert.True((await Ask(rig))!.Awake);

        // From now on its changes come to the activation, and it answers from what it holds.
        rig.Take(Update("a", 2), Update("a", 3));
        rig.Take(Update("a", 4));
        view = await Ask(rig);
        Assert.Equal((Sample.Version(1), 3), (view!.Version, view.Waiting));
        await rig.AnswerAll();
        Assert.Equal(Sample.Version(4), (await Ask(rig))!.Version);
        Assert.Equal(1, rig.Activations.Made);
    }

    [Fact]
    public async Task A_question_while_a_lone_change_is_under_way_does_not_disturb_it()
    {
        await using var rig = new PartitionRig(new TestStore());
        rig.Take(Create("a", 1));
        Assert.Null(await Ask(rig));
        Assert.Equal(EntityPhase.Passing, rig.Phase("a"));
        rig.Take(Update("a", 2));
        await rig.AnswerAll();
        Assert.Equal([Sample.Version(1), Sample.Version(2)], rig.Sink.Answered.Select(e => e.Version));
        Assert.Equal(Sample.Version(2), (await Ask(rig))!.Version);
        Assert.Equal(1, rig.Activations.Made);
    }

    [Fact]
    public async Task A_state_that_was_read_before_changes_came_to_the_activation_is_not_kept()
    {
        var store = new TestStore();
        await using var rig = new PartitionRig(store);
        rig.Take(Create("a", 1));
        await rig.AnswerAll();
        await rig.Checkpoint();
        await using var second = new PartitionRig(store);
        second.Take(Update("a", 2));

        // The read for the change must have ended before the gate is closed.
        await second.Loaded();
        Assert.Single(second.Sink.Open);
        Assert.Equal(EntityPhase.Passing, second.Phase("a"));

        // The question reads the store while the change is being applied in passing; the answer comes after it.
        store.Gate = new TaskCompletionSource();
        var asked = second.Activations.Find(A).GetState();
        second.RunTurns();
        second.Sink.Answer(_ => true);
        Assert.Equal(EntityPhase.Awake, second.Phase("a"));
        store.Gate.SetResult();
        await asked;
        store.Gate = null;

        second.Take(Touched("a", 3));
        await second.AnswerAll();
        Assert.Equal(["a", "updated", null], second.Format.Befores[^1]);
    }

    [Fact]
    public async Task An_entity_of_which_nothing_is_known_goes_back_to_sleep()
    {
        await using var rig = new PartitionRig(new TestStore());
        Assert.Null(await Ask(rig));
        rig.RunTurns();
        Assert.Equal((EntityPhase.Asleep, 0), (rig.Phase("a"), rig.Activations.Count));
    }

    [Fact]
    public async Task A_reader_that_asks_for_a_row_gets_it_once_all_that_it_gave_is_applied()
    {
        await using var rig = new PartitionRig(new TestStore());
        rig.Take(Create("a", 1));
        Assert.Equal(new StoredRow(false), await Row(rig, 1, 1));
        rig.Sink.Answer(_ => true);
        var row = await Row(rig, 1, 1);
        Assert.Equal((true, Sample.Version(1)), (row.AllApplied, row.Version));
        Assert.Equal(["a", "1", null], Sample.Values(row.Row));

        Assert.Equal(new StoredRow(false, MustReopen: true), await Row(rig, 1, 2));
        Assert.Equal(new StoredRow(false, MustReopen: true), await Row(rig, 2, 1));
        rig.Partition.Epoch = 2;
        await Assert.ThrowsAsync<StaleReaderException>(() => Row(rig, 1, 1));

        rig.Take(Delete("a", 3));
        await rig.AnswerAll();
        Assert.Equal(new StoredRow(true), await Row(rig, 2, 3));
    }

    [Fact]
    public async Task An_activation_works_for_the_partition_that_has_it_and_for_no_other()
    {
        await using var rig = new PartitionRig(new TestStore());
        var entity = rig.Activations.Find(A);
        Assert.True(await entity.Wake(rig.Partition.Generation));
        Assert.False(await entity.Wake(rig.Partition.Generation + 1));
        rig.RunTurns();
        Assert.Equal(0, rig.Activations.Count);
        Assert.Equal(EntityPhase.Asleep, rig.Phase("a"));
    }

    private static async Task<EntityView?> Ask(PartitionRig rig)
    {
        var answer = rig.Activations.Find(A).GetState();
        rig.RunTurns();
        return await answer;
    }

    private static async Task<StoredRow> Row(PartitionRig rig, long epoch, long lastSent)
    {
        var answer = rig.Activations.Find(A).ReadRow(epoch, Sample.Version(lastSent)).AsTask();
        rig.RunTurns();
        return await answer;
    }
}
