using System.Diagnostics;
using CdcOrleans.Grains.Budgets;
using CdcOrleans.Grains.Checkpoints;
using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Figures;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing.Pipeline;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace CdcOrleans.Unit.Grains;

public sealed class StateReaderTests
{
    // The stored row, the completed row, and three copies of an event with both.
    private const int Room = 8;

    private readonly TablePlan _plan = new("public.orders", "t", [new TableOutput(new TestFormat(), [new TestSink().Target])]);
    private readonly TestStore _store = new();
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public async Task Large_states_are_read_only_when_there_is_room_for_them()
    {
        for (var i = 0; i < 40; i++)
            Store("k" + i, 1 << 20);
        var memory = new MemoryBudget((3 * Room << 20) + (1 << 16));
        await using var reader = Reader(memory);
        var waiters = Enumerable.Range(0, 40).Select(i => Request(reader, "k" + i)).ToArray();

        // In their order, never more than the budget has room for.
        for (var i = 0; i < 40; i++)
        {
            var (state, room) = await waiters[i].Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
            Assert.Equal(Sample.Version(1), state!.Version);
            Assert.InRange(_store.LargeReads, 0, i + 3);
            Assert.InRange(room, Room << 20, (Room << 20) + (1 << 12));
            memory.Give(room);
        }

        Assert.Equal(40, _store.LargeReads);
        Assert.Equal((0, 0), (memory.Use.Applies, memory.Use.Waiting));
    }

    [Fact]
    public async Task A_state_larger_than_the_budget_is_read_when_it_is_alone()
    {
        Store("small", 100_000);
        Store("large", 2 << 20);
        var memory = new MemoryBudget(1 << 20);
        await using var reader = Reader(memory);
        var small = await Request(reader, "small").Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        var large = Request(reader, "large");
        var behind = Request(reader, "small");
        for (var watch = Stopwatch.StartNew(); memory.Use.Waiting == 0; await Task.Yield())
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(30), "Nothing waits.");
        Assert.Equal(1, _store.LargeReads);

        memory.Give(small.Room);
        var (state, room) = await large.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        Assert.True(state!.Row.Size >= 2 << 20);
        Assert.Equal(room, memory.Use.Applies);
        memory.Give(room);
        memory.Give((await behind.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken)).Room);
        Assert.Equal(0, memory.Use.Applies);
    }

    [Fact]
    public async Task Small_states_and_missing_ones_come_from_one_read_and_need_no_room()
    {
        Store("a", 100);
        var memory = new MemoryBudget(1 << 20);
        await using var reader = Reader(memory);
        Assert.NotNull((await Request(reader, "a").Task).State);
        Assert.Equal((null, 0), await Request(reader, "b").Task);
        Assert.Equal((2, 0, 0L), (_store.Reads, _store.LargeReads, memory.Use.Applies));
    }

    // Without its loop, the reader would answer nobody any more.
    [Fact]
    public async Task A_lack_of_memory_while_states_are_handed_over_does_not_end_the_reader()
    {
        Store("a", 100);
        await using var reader = Reader(new MemoryBudget(1 << 20));
        reader.Request(new Exhausted(), Update("a"), _plan);
        var next = Request(reader, "a");
        for (var watch = Stopwatch.StartNew(); !next.Task.IsCompleted; await Task.Yield())
        {
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(30), "The reader has ended.");
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.NotNull((await next.Task).State);
    }

    private static RowChange Update(string key) => Changes.Touched(key, 2);

    private void Store(string key, int bytes) => _store.States[new StateKey(Sample.Orders.TableId, key)] =
        new EntityState(Sample.Version(1), Sample.Orders, Sample.Row(key, "new", new string('x', bytes)), false);

    private StateReader Reader(MemoryBudget memory)
    {
        var source = new SourceConfiguration { Name = "shop", Connection = "", Slot = "s", Publication = "p", Tables = [] };
        return new StateReader(_store, memory, new SourceFigures(source, _time, new EntityBudget(1 << 20, 1), memory, () => []), _time, NullLogger.Instance);
    }

    private TestWaiter Request(StateReader reader, string key)
    {
        var waiter = new TestWaiter();
        reader.Request(waiter, Update(key), _plan);
        return waiter;
    }

    private sealed class TestWaiter : TaskCompletionSource<(EntityState? State, long Room)>, IStateWaiter
    {
        public TestWaiter()
            : base(TaskCreationOptions.RunContinuationsAsynchronously)
        {
        }

        public void OnLoaded(EntityState? state, long room) => SetResult((state, room));
    }

    private sealed class Exhausted : IStateWaiter
    {
        private bool _isThrown;

        public void OnLoaded(EntityState? state, long room)
        {
            if (_isThrown)
                return;
            _isThrown = true;
            throw new OutOfMemoryException();
        }
    }
}
