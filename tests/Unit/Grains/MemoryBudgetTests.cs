using CdcOrleans.Grains.Budgets;
using CsCheck;
using Xunit;

namespace CdcOrleans.Unit.Grains;

public sealed class MemoryBudgetTests
{
    private readonly MemoryBudget _memory = new(1000);
    private readonly List<string> _entered = [];

    [Fact]
    public void Waiters_are_served_in_order_as_room_is_given_back()
    {
        Assert.True(_memory.TryTake(Waiter("a"), 600));
        Assert.False(_memory.TryTake(Waiter("b"), 500));
        Assert.False(_memory.TryTake(Waiter("c"), 100));
        Assert.False(_memory.TryTake(100));
        Assert.Equal(new MemoryUse(1000, 600, 0, 2), _memory.Use);
        _memory.Give(600);
        Assert.Equal(["b", "c"], _entered);
        Assert.Equal(new MemoryUse(1000, 600, 0, 0), _memory.Use);
        Assert.True(_memory.TryTake(400));
        Assert.False(_memory.TryTake(1));
    }

    [Fact]
    public void What_is_not_durable_takes_room_until_it_is()
    {
        _memory.AddUnsaved(700);
        Assert.False(_memory.TryTake(Waiter("a"), 400));
        _memory.AddUnsaved(-50);
        Assert.Empty(_entered);
        _memory.AddUnsaved(-50);
        Assert.Equal(["a"], _entered);
        Assert.Equal(new MemoryUse(1000, 400, 600, 0), _memory.Use);
    }

    [Fact]
    public void What_is_larger_than_the_limit_passes_alone()
    {
        Assert.True(_memory.TryTake(Waiter("small"), 10));
        _memory.AddUnsaved(300);
        Assert.False(_memory.TryTake(Waiter("large"), 5000));
        Assert.False(_memory.TryTake(Waiter("next"), 10));
        _memory.Give(10);
        Assert.Empty(_entered);
        _memory.AddUnsaved(-50);
        Assert.Equal(["large"], _entered);
        Assert.Equal(new MemoryUse(1000, 5000, 250, 1), _memory.Use);
        _memory.Give(5000);
        Assert.Equal(["large", "next"], _entered);
    }

    [Fact]
    public void Room_that_a_waiter_does_not_use_any_more_goes_to_the_next()
    {
        Assert.True(_memory.TryTake(1000));
        Assert.False(_memory.TryTake(Waiter("gone", uses: false), 1000));
        Assert.False(_memory.TryTake(Waiter("next"), 1000));
        _memory.Give(1000);
        Assert.Equal(["gone", "next"], _entered);
        Assert.Equal(new MemoryUse(1000, 1000, 0, 0), _memory.Use);
    }

    [Fact]
    public void Rows_have_a_quarter_and_wait_in_their_order()
    {
        Assert.True(_memory.TryTakeRows(Waiter("a"), 200));
        Assert.False(_memory.TryTakeRows(Waiter("b"), 51));
        Assert.False(_memory.TryTakeRows(Waiter("c"), 9));
        Assert.Equal(new MemoryUse(1000, 0, 0, 0, 200), _memory.Use);
        Assert.True(_memory.TryTake(800));
        _memory.GiveRows(10);
        Assert.Empty(_entered);
        _memory.Give(100);
        Assert.Equal(["b", "c"], _entered);
        Assert.Equal(new MemoryUse(1000, 700, 0, 0, 250), _memory.Use);
    }

    [Fact]
    public void Rows_that_need_more_than_there_is_get_room_when_there_are_no_others()
    {
        Assert.True(_memory.TryTake(1000));
        Assert.True(_memory.TryTakeRows(Waiter("a"), 10));
        Assert.False(_memory.TryTakeRows(Waiter("large"), 5000));
        _memory.GiveRows(10);
        Assert.Equal(["large"], _entered);

        // Applies have the rest to themselves.
        _memory.Give(1000);
        Assert.True(_memory.TryTake(350));
        Assert.True(_memory.TryTake(400));
        Assert.False(_memory.TryTake(1));
    }

    [Fact]
    public void Room_of_rows_that_nobody_waits_for_any_more_goes_to_the_next()
    {
        Assert.True(_memory.TryTakeRows(Waiter("a"), 250));
        Assert.False(_memory.TryTakeRows(Waiter("gone", uses: false), 250));
        Assert.False(_memory.TryTakeRows(Waiter("next"), 250));
        _memory.GiveRows(250);
        Assert.Equal(["gone", "next"], _entered);
        Assert.Equal(250, _memory.Use.Rows);
    }

    // Rows hold room until their applies, which need room themselves, have ended. States become durable when nothing else goes on.
    [Fact]
    public void Rows_and_their_applies_all_get_room_in_the_end() =>
        Gen.Select(Gen.Int[1, 1500], Gen.Int[1, 3000]).Array[1, 40].Sample(slices =>
        {
            var memory = new MemoryBudget(1000);
            var applies = new Queue<(int Rows, int Bytes)>();
            var (unsaved, ended) = (0, 0);
            foreach (var (rows, bytes) in slices)
            {
                if (memory.TryTakeRows(new TestWaiter(() => Apply(rows, bytes)), rows))
                    Apply(rows, bytes);
            }

            while (ended < slices.Length)
            {
                if (applies.TryDequeue(out var apply))
                {
                    memory.AddUnsaved(apply.Bytes / 4);
                    unsaved += apply.Bytes / 4;
                    ended++;
                    memory.Give(apply.Bytes);
                    memory.GiveRows(apply.Rows);
                }
                else
                {
                    Assert.True(unsaved > 0, "Nothing goes on, and rows or applies wait.");
                    memory.AddUnsaved(-unsaved);
                    unsaved = 0;
                }
            }

            memory.AddUnsaved(-unsaved);
            Assert.Equal(new MemoryUse(1000, 0, 0, 0), memory.Use);

            void Apply(int rows, int bytes)
            {
                if (memory.TryTake(new TestWaiter(() => applies.Enqueue((rows, bytes))), bytes))
                    applies.Enqueue((rows, bytes));
            }
        });

    // Applies of any size take room, end with a state that is not durable, and a checkpoint makes all of these durable now and then.
    [Fact]
    public void Every_apply_gets_room_in_the_end_and_the_limit_is_exceeded_by_one_that_is_alone_only() =>
        Gen.Select(Gen.Int[1, 3000], Gen.Bool).Array[1, 60].Sample(applies =>
        {
            var memory = new MemoryBudget(1000);
            var inProgress = new Queue<int>();
            var unsaved = 0;
            var begun = 0;
            foreach (var (bytes, checkpoint) in applies)
            {
                if (memory.TryTake(new TestWaiter(() => Begin(bytes)), bytes))
                    Begin(bytes);
                Check();
                if (inProgress.Count > 2)
                    End();
                if (checkpoint)
                    Durable();
            }

            while (begun < applies.Length || inProgress.Count > 0)
            {
                Assert.True(inProgress.Count > 0 || unsaved > 0, "Nothing is in progress, and applies wait.");
                if (inProgress.Count > 0)
                    End();
                else
                    Durable();
            }

            Durable();
            Assert.Equal(new MemoryUse(1000, 0, 0, 0), memory.Use);

            void Begin(int bytes)
            {
                inProgress.Enqueue(bytes);
                begun++;
            }

            void End()
            {
                var bytes = inProgress.Dequeue();
                memory.AddUnsaved(bytes / 8);
                unsaved += bytes / 8;
                memory.Give(bytes);
                Check();
            }

            void Durable()
            {
                var bytes = unsaved;
                unsaved = 0;
                memory.AddUnsaved(-bytes);
                Check();
            }

            void Check()
            {
                Assert.Equal((inProgress.Sum(), unsaved), (memory.Use.Applies, memory.Use.Unsaved));
                Assert.True(inProgress.Sum() <= 1000 || inProgress.Count == 1, "An apply larger than the limit is not alone.");
            }
        });

    private TestWaiter Waiter(string name, bool uses = true) => new(() => _entered.Add(name), uses);

    private sealed class TestWaiter(Action entered, bool uses = true) : IRoomWaiter
    {
        public bool OnRoom(long bytes)
        {
            entered();
            return uses;
        }
    }
}
