using CdcOrleans.Grains.Entities;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing.Pipeline;
using Microsoft.Extensions.Time.Testing;
using Xunit;
using static CdcOrleans.Testing.Pipeline.Changes;

namespace CdcOrleans.Unit.Grains;

/// <summary>An apply that fails stops its own entity at most, and for a moment.</summary>
public sealed class EntityFaultTests
{
    [Theory]
    [InlineData(EntityActivation.WhenNeeded)]
    [InlineData(EntityActivation.Always)]
    public async Task A_change_that_cannot_be_applied_is_tried_again_then_given_up_on_and_neighbours_go_on(EntityActivation activation)
    {
        var time = new FakeTimeProvider();
        var store = new TestStore();
        await using var rig = new PartitionRig(store, new RigOptions { Activation = activation, Time = time });
        rig.Take(Large("a", 1, "note"), Create("b", 2));
        await rig.AnswerAll();
        await rig.Checkpoint();

        rig.Take(Update("b", 3), Broken("a", 4), Touched("a", 5));
        await rig.Loaded();
        Assert.Equal(EntityPhase.Applying, rig.Phase("a"));
        rig.Sink.Answer(_ => true);
        Assert.Contains(rig.Sink.Answered, e => e.Version == Sample.Version(3));
        Assert.Equal(0, rig.Figures.Take().EntityFaults);

        time.Advance(TimeSpan.FromMilliseconds(100));
        await rig.AnswerAll();
        await rig.Checkpoint();
        var letter = Assert.Single(store.DeadLetters);
        Assert.Equal(("a", Sample.Version(4), "sink"), (letter.Entity.Key, letter.Version, letter.Sink));
        Assert.Contains("InvalidDataException", letter.Error, StringComparison.Ordinal);
        Assert.Equal(Sample.Version(5), store.Claims.Progress);

        // Nothing is known of the row any more: what the next change leaves out stays unknown.
        Assert.Equal(["a", "touched", Sample.Unchanged], Sample.Values(store.States[new(Sample.Orders.TableId, "a")].Row));
        var figures = rig.Figures.Take();
        Assert.Equal(1, figures.EntityFaults);
        Assert.StartsWith("public.orders/a: ", figures.LastEntityFault, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_stored_row_that_cannot_be_read_is_not_used_and_is_counted_and_the_changes_go_on()
    {
        var store = new TestStore();
        await using (var first = new PartitionRig(store))
        {
            first.Take(Large("a", 1, "note"), Create("b", 2));
            await first.AnswerAll();
            await first.Checkpoint();
        }

        var key = new StateKey(Sample.Orders.TableId, "a");
        store.States[key] = store.States[key] with { Row = default, Absence = RowAbsence.Unreadable };
        await using var rig = new PartitionRig(store);
        rig.Take(Touched("a", 1), Touched("a", 3), Update("b", 4));
        await rig.AnswerAll();
        await rig.Checkpoint();
        Assert.Equal([Sample.Version(3), Sample.Version(4)], rig.Sink.Answered.Select(e => e.Version).Order());
        Assert.Empty(store.DeadLetters);
        Assert.Equal(Sample.Version(4), store.Claims.Progress);
        Assert.Equal((RowAbsence.None, true), (store.States[key].Absence, store.States[key].Row.IsPresent));
        var figures = rig.Figures.Take();
        Assert.Equal((1, 0, "public.orders/a: The stored row cannot be read."), (figures.RowsUnreadable, figures.EntityFaults, figures.LastRowNotStored));
    }

    [Fact]
    public async Task An_entity_whose_change_was_given_up_on_goes_to_sleep()
    {
        var time = new FakeTimeProvider();
        await using var rig = new PartitionRig(new TestStore(), new RigOptions { Time = time });
        rig.Take(Broken("a", 1));
        await rig.Loaded();
        time.Advance(TimeSpan.FromMilliseconds(100));
        await rig.AnswerAll();
        Assert.Equal((EntityPhase.Asleep, 0), (rig.Phase("a"), rig.Activations.Count));
    }

    [Fact]
    public async Task What_stands_before_the_broken_change_leaves_before_it()
    {
        var time = new FakeTimeProvider();
        await using var rig = new PartitionRig(new TestStore(), new RigOptions { Time = time });
        rig.Take(Create("a", 1), Update("a", 2), Broken("a", 3), Update("a", 4));
        Assert.Equal([Sample.Version(1), Sample.Version(2)], Assert.Single(rig.Sink.Open).Events.Select(e => e.Version));
        rig.Sink.Answer(_ => true);
        time.Advance(TimeSpan.FromMilliseconds(100));
        await rig.AnswerAll();
        Assert.Equal([Sample.Version(1), Sample.Version(2), Sample.Version(4)], rig.Sink.Answered.Select(e => e.Version));
    }

    [Fact]
    public async Task A_broken_apply_gives_its_room_back()
    {
        var time = new FakeTimeProvider();
        await using var rig = new PartitionRig(new TestStore(), new RigOptions { Time = time, Memory = 4 << 20 });
        rig.Take(Large("a", 1, new string('x', 100_000)));
        await rig.AnswerAll();
        rig.Take(Broken("a", 2));
        await rig.Loaded();
        Assert.Equal(0, rig.Memory.Use.Applies);
        time.Advance(TimeSpan.FromMilliseconds(100));
        await rig.AnswerAll();
        Assert.Equal(0, rig.Memory.Use.Applies);
    }

    [Fact]
    public async Task A_sink_that_throws_refuses_that_delivery_and_no_other()
    {
        var store = new TestStore();
        await using var rig = new PartitionRig(store);
        rig.Sink.Throws = d => Key(d) == "a";
        rig.Take(Create("a", 1), Create("b", 2));
        await rig.AnswerAll();
        await rig.Checkpoint();
        Assert.Equal(Sample.Version(1), Assert.Single(store.DeadLetters).Version);
        Assert.Equal(Sample.Version(2), store.Claims.Progress);
    }

    [Fact]
    public async Task A_fault_outside_an_apply_fails_the_partitions_turn()
    {
        await using var rig = new PartitionRig(new TestStore());
        rig.Partition.OnFault(new InvalidOperationException("defect"));
        var fault = Assert.Throws<InvalidOperationException>(rig.RunTurns);
        Assert.Equal("defect", fault.InnerException!.Message);
    }
}
