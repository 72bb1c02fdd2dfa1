using System.Diagnostics;
using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Retries;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing.Pipeline;
using Microsoft.Extensions.Time.Testing;
using Xunit;
using static CdcOrleans.Testing.Pipeline.Changes;

namespace CdcOrleans.Unit.Grains;

/// <summary>A process that lacks memory for a moment makes nothing a dead letter.</summary>
public sealed class ExhaustionTests
{
    public static TheoryData<Exception> Causes { get; } =
        [new OutOfMemoryException(), new InsufficientExecutionStackException(), new TypeInitializationException("Format", new OutOfMemoryException())];

    [Fact]
    public void Other_errors_are_no_lack_of_memory()
    {
        Assert.All(Causes, c => Assert.True(Exhaustion.IsCauseOf(c.Data)));
        Assert.False(Exhaustion.IsCauseOf(new InvalidOperationException("broken", new FormatException())));
        Assert.False(Exhaustion.IsCauseOf(null));
    }

    [Theory]
    [MemberData(nameof(Causes))]
    public async Task A_format_without_memory_is_tried_again(Exception cause)
    {
        foreach (var activation in Enum.GetValues<EntityActivation>())
        {
            var time = new FakeTimeProvider();
            var store = new TestStore();
            await using var rig = new PartitionRig(store, new RigOptions { Activation = activation, Time = time });
            var failures = 0;
            rig.Format.Before = _ =>
            {
                if (failures++ < 4)
                    throw cause;
            };
            rig.Take(Create("a", 1), Create("b", 2));
            while (rig.Partition.Unfinished > 0)
            {
                time.Advance(TimeSpan.FromMilliseconds(100));
                await rig.Loaded();
                rig.Sink.Answer(_ => true);
            }

            await rig.Checkpoint();
            Assert.Equal([Sample.Version(1), Sample.Version(2)], rig.Sink.Answered.Select(e => e.Version).Order());
            Assert.Empty(store.DeadLetters);
            Assert.Equal((0, 0), (rig.Figures.Take().EntityFaults, rig.Memory.Use.Applies));
        }
    }

    [Theory]
    [MemberData(nameof(Causes))]
    public async Task A_batch_of_a_lane_without_memory_is_made_again(Exception cause)
    {
        var time = new FakeTimeProvider();
        var store = new TestStore();
        await using var rig = new PartitionRig(store, new RigOptions { Mode = EntityMode.Off, Time = time });
        var failures = 0;
        rig.Format.Before = version =>
        {
            if (version == Sample.Version(2) && failures++ < 2)
                throw cause;
        };
        rig.Take(Create("a", 1), Create("b", 2), Create("c", 3));
        while (rig.Partition.Unfinished > 0)
        {
            time.Advance(TimeSpan.FromMilliseconds(100));
            await rig.Loaded();
            rig.Sink.Answer(_ => true);
        }

        await rig.Checkpoint();
        Assert.Equal([Sample.Version(1), Sample.Version(2), Sample.Version(3)], rig.Sink.Answered.Select(e => e.Version));
        Assert.Empty(store.DeadLetters);
        Assert.Equal(0, rig.Memory.Use.Applies);
    }

    [Theory]
    [MemberData(nameof(Causes))]
    public async Task A_delivery_that_a_sink_has_no_memory_for_is_delivered_again(Exception cause)
    {
        var store = new TestStore();
        await using var rig = new PartitionRig(store);
        var failures = 0;
        rig.Sink.Before = _ =>
        {
            if (failures++ < 2)
                throw cause;
        };
        rig.Take(Create("a", 1));
        for (var watch = Stopwatch.StartNew(); rig.Sink.Open.Count == 0; await Task.Yield())
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(30) && store.DeadLetters.Count == 0 && rig.Partition.Unfinished > 0, "It was not delivered again.");
        await rig.AnswerAll();
        await rig.Checkpoint();
        Assert.Equal(Sample.Version(1), Assert.Single(rig.Sink.Answered).Version);
        Assert.Empty(store.DeadLetters);
    }

    // Otherwise the first sink would get the event again with the second attempt.
    [Fact]
    public void A_change_that_fails_in_one_format_is_in_no_sinks_events()
    {
        var (first, second) = (new TestSink(), new TestSink());
        var broken = new TestFormat();
        var plan = new TablePlan("public.orders", "t", [new TableOutput(new TestFormat(), [first.Target]), new TableOutput(broken, [second.Target])]);
        var batch = new Batch();
        foreach (var (version, fails) in ((int, bool)[])[(1, false), (2, true), (2, true), (2, false), (3, true), (3, false), (4, true)])
        {
            broken.Before = _ =>
            {
                if (fails)
                    throw new OutOfMemoryException();
            };
            var change = Completed(version);
            if (fails)
                Assert.Throws<OutOfMemoryException>(() => batch.Add(in change, plan));
            else
                batch.Add(in change, plan);
        }

        batch.Send();
        foreach (var sink in (TestSink[])[first, second])
            Assert.Equal([Sample.Version(1), Sample.Version(2), Sample.Version(3)], Assert.Single(sink.Open).Events.Select(e => e.Version));
    }

    [Fact]
    public void A_batch_of_which_nothing_is_left_is_finished_without_a_delivery()
    {
        var sink = new TestSink();
        var broken = new TestFormat { Before = _ => throw new OutOfMemoryException() };
        var batch = new Batch();
        var change = Completed(1);
        Assert.Throws<OutOfMemoryException>(
            () => batch.Add(in change, new TablePlan("public.orders", "t", [new TableOutput(new TestFormat(), [sink.Target]), new TableOutput(broken, [sink.Target])])));
        batch.Send();
        Assert.Empty(sink.Open);
        Assert.True(batch.IsFinished);
    }

    private static CompletedChange Completed(int version)
    {
        var change = Create("a", version);
        return new CompletedChange
        {
            Change = change, Source = "shop", Database = "db", Topic = "t", Values = ValueOptions.Default, Tombstones = false, Origin = EventOrigin.Stream,
            Before = default, BeforeTable = null, After = change.After,
        };
    }

    private sealed class Batch : EventBatch
    {
        public bool IsFinished { get; private set; }

        protected override void Finished() => IsFinished = true;

        protected override void OnUnformatted(IReadOnlyList<DeadLetter> letters) => Assert.Fail("Everything can be formatted.");
    }
}
