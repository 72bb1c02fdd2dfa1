using CdcOrleans.Grains.Budgets;
using CdcOrleans.Grains.Checkpoints;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing;
using CdcOrleans.Testing.Pipeline;
using Xunit;

namespace CdcOrleans.Unit.Grains;

public sealed class CheckpointBufferTests
{
    private static readonly EntityKey Key = new("public.orders", "1");
    private readonly EntityBudget _entities = new(1 << 20, 1);
    private readonly MemoryBudget _memory = new(1 << 20);
    private readonly CheckpointBuffer _buffer;

    public CheckpointBufferTests() =>
        _buffer = new CheckpointBuffer(3, new PartitionClaim(7, Sample.Version(1), Sample.Version(5)), _entities, _memory);

    [Fact]
    public void A_state_is_found_while_it_waits_and_while_it_is_written_and_for_a_while_after()
    {
        _buffer.Add(Key, State(10), Retention.Used);
        Assert.Equal(Sample.Version(10), _buffer.Find(Key)!.Version);
        _buffer.SetProgress(Sample.Version(10));

        var cut = _buffer.Cut()!;
        Assert.Equal((3, 7L, Sample.Version(10), Sample.Version(10)), (cut.Partition, cut.Generation, cut.Progress, cut.High));
        Assert.Equal(Sample.Version(10), _buffer.Find(Key)!.Version);
        Assert.Null(_buffer.Cut());

        _buffer.Committed();
        Assert.Equal(Sample.Version(10), _buffer.Find(Key)!.Version);
        Assert.Equal(Sample.Version(10), _buffer.Durable);
        Assert.False(_buffer.HasUnsaved(Key));
        Assert.Null(_buffer.Cut());
    }

    [Fact]
    public void A_failed_checkpoint_goes_back_under_what_is_newer()
    {
        var other = new EntityKey("public.orders", "2");
        _buffer.Add(Key, State(10), Retention.Used);
        _buffer.Add(other, State(11), Retention.Used);
        _buffer.Cut();
        _buffer.Add(Key, State(12), Retention.Used);
        _buffer.Failed();

        var cut = _buffer.Cut()!;
        Assert.Equal([Sample.Version(11), Sample.Version(12)], cut.States.Select(s => s.Value.Version).Order());
        Assert.Equal(Sample.Version(1), _buffer.Durable);
    }

    [Fact]
    public void Journal_rows_wait_for_the_checkpoint_in_their_order_and_count_in_the_memory_budget()
    {
        _buffer.Add([Row(10, 100_000)]);
        Assert.InRange(_memory.Use.Unsaved, 100_000, 101_000);
        Assert.InRange(_buffer.Bytes, 100_000, 101_000);
        Assert.Equal([Sample.Version(10)], _buffer.Cut()!.Journal.Select(r => r.Change.Version));
        _buffer.Add([Row(11, 100_000)]);
        _buffer.Failed();
        Assert.InRange(_memory.Use.Unsaved, 200_000, 202_000);
        Assert.Equal([Sample.Version(10), Sample.Version(11)], _buffer.Cut()!.Journal.Select(r => r.Change.Version));
        _buffer.Add([Row(12, 100_000)]);
        _buffer.Committed();
        Assert.InRange(_memory.Use.Unsaved, 100_000, 101_000);
        Assert.Equal([Sample.Version(12)], _buffer.Cut()!.Journal.Select(r => r.Change.Version));
        _buffer.Committed();
        Assert.Equal(0, _memory.Use.Unsaved);
        Assert.Null(_buffer.Cut());

        // The image after a change is also that of the change if nothing was completed. It is in memory once.
        static JournalRow Row(long version, int size)
        {
            var after = new RowImage(new byte[size]);
            return new JournalRow
            {
                After = after,
                Change = new RowChange
                {
                    Operation = ChangeOperation.Create, Table = Sample.Orders, Entity = Key, Version = Sample.Version(version), Lsn = Lsn.None, After = after,
                    Transaction = new SourceTransaction { CommitLsn = Sample.Version(version).CommitLsn, Xid = 1, CommitMicros = 1 },
                },
            };
        }
    }

    [Fact]
    public void What_is_not_durable_counts_in_the_memory_budget_until_it_is()
    {
        var other = new EntityKey("public.orders", "2");
        _buffer.Add(Key, Large(10, 100_000), Retention.Used);
        Assert.InRange(_memory.Use.Unsaved, 100_000, 101_000);
        _buffer.Cut();
        _buffer.Add(Key, Large(11, 50_000), Retention.Used);
        _buffer.Add(other, Large(12, 50_000), Retention.Used);
        Assert.InRange(_memory.Use.Unsaved, 200_000, 202_000);

        // The older state of the first is not needed any more.
        _buffer.Failed();
        Assert.InRange(_memory.Use.Unsaved, 100_000, 102_000);
        _buffer.Cut();
        _buffer.Committed();
        Assert.Equal(0, _memory.Use.Unsaved);
    }

    [Fact]
    public void After_the_end_of_the_partition_nothing_counts_although_a_checkpoint_is_in_progress()
    {
        _buffer.Add(Key, Large(10, 20_000), Retention.Used);
        _buffer.Cut();
        _buffer.Add(Key, Large(11, 30_000), Retention.Used);
        _buffer.Close();
        Assert.Equal((0, 0), (_memory.Use.Unsaved, _entities.Bytes));
        _buffer.Committed();
        _buffer.Add(Key, Large(12, 40_000), Retention.Used);
        Assert.Equal((0, 0), (_memory.Use.Unsaved, _entities.Bytes));
    }

    [Fact]
    public void A_durable_state_that_is_large_is_not_kept_and_neither_is_the_one_before_it()
    {
        _buffer.Add(Key, State(10), Retention.Used);
        _buffer.Cut();
        _buffer.Committed();
        Assert.NotNull(_buffer.Find(Key));
        _buffer.Add(Key, Large(11, 500_000), Retention.Used);
        _buffer.Cut();
        _buffer.Committed();
        Assert.Null(_buffer.Find(Key));
        Assert.Equal(0, _entities.Bytes);
    }

    [Fact]
    public void The_high_mark_never_falls_and_starts_at_the_claims()
    {
        _buffer.Add(Key, State(2), Retention.Used);
        Assert.Equal(Sample.Version(5), _buffer.Cut()!.High);
        _buffer.Committed();
        _buffer.Add(Key, State(9), Retention.Used);
        Assert.Equal(Sample.Version(9), _buffer.Cut()!.High);
    }

    [Fact]
    public void A_state_written_many_times_between_cuts_is_in_the_checkpoint_once()
    {
        for (var i = 10; i < 60; i++)
            _buffer.Add(Key, State(i), Retention.Used);
        Assert.Equal(Sample.Version(59), Assert.Single(_buffer.Cut()!.States).Value.Version);
    }

    [Fact]
    public void Parked_events_count_once_however_often_their_checkpoint_fails()
    {
        _buffer.Park(Parked(10), Waiting(10));
        var bytes = _buffer.Bytes;
        for (var i = 0; i < 3; i++)
        {
            _buffer.Cut();
            _buffer.Failed();
        }

        Assert.Equal(bytes, _buffer.Bytes);
        Assert.Equal(Sample.Version(10), Assert.Single(_buffer.Cut()!.Parked).Place);
    }

    [Fact]
    public void A_parked_event_that_left_is_known_until_that_is_durable_and_may_be_parked_again()
    {
        var parked = Parked(10);
        _buffer.Unpark(parked.Id, Waiting(10));
        Assert.True(_buffer.IsUnparked(parked.Id));
        _buffer.Cut();
        _buffer.Park(parked, Waiting(10));
        Assert.True(_buffer.IsUnparked(parked.Id));
        _buffer.Failed();

        Assert.False(_buffer.IsUnparked(parked.Id));
        var cut = _buffer.Cut()!;
        Assert.Empty(cut.Unparked);
        Assert.Equal(parked.Id, Assert.Single(cut.Parked).Id);
    }

    private static ParkedEvent Parked(int version) => new("sink", Sample.Version(version), TestDelivery.Event("t", "1", new string('x', 1000), version), default);

    private static ParkedEntityState Waiting(int version) => new()
    {
        Entity = Key, Sink = "sink", Events = 1, Bytes = 1000, Newest = new ParkedPosition(Sample.Version(version), Sample.Version(version), 0), Attempts = 0,
        FirstTriedAt = default, DueAt = default,
    };

    private static EntityState State(long version) => new(Sample.Version(version), Sample.Orders, Sample.Row("1", "a", "b"), Deleted: false);

    private static EntityState Large(long commit, int bytes) =>
        new(Sample.Version(commit), Sample.Orders, Sample.Row("1", "large", new string('x', bytes)), false);
}
