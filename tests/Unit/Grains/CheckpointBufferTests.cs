using CdcOrleans.Grains.Budgets;
using CdcOrleans.Grains.Checkpoints;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing.Pipeline;
using Xunit;

namespace CdcOrleans.Unit.Grains;

public sealed class CheckpointBufferTests
{
    private static readonly EntityKey Key = new("public.orders", "1");
    private readonly CheckpointBuffer _buffer = new(3, new PartitionClaim(7, Sample.Version(1), Sample.Version(5)), new EntityBudget(1 << 20, 1));

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

    private static EntityState State(long version) => new(Sample.Version(version), Sample.Orders, Sample.Row("1", "a", "b"), Deleted: false);
}
