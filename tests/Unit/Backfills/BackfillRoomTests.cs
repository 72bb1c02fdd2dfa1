using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing.Pipeline;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace CdcOrleans.Unit.Backfills;

/// <summary>Rows of backfills have room in the memory budget from before a partition takes them until they are finished or given up.</summary>
public sealed class BackfillRoomTests
{
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private readonly TestStore _store = new();

    [Fact]
    public async Task Rows_wait_until_those_before_them_are_finished()
    {
        await using var rig = Rig();
        var (first, second) = (Slice(1, 6), Slice(2, 4));
        Assert.Null(rig.Partition.TakeRoom(first));
        var work = rig.Merge(first);
        Assert.Equal(first.Rows.Sum(r => r.Size), rig.Memory.Use.Rows);

        var waiting = rig.Partition.TakeRoom(second)!;
        Assert.Same(waiting, rig.Partition.FindRoom(second.At));
        Assert.False(waiting.Room.IsCompleted);
        await Answer(rig);
        await waiting.Room;
        await rig.Checkpoint();
        Assert.Equal(6, work.Finished.Sum());
        Assert.Null(rig.Partition.TakeRoom(second));
        var next = rig.Merge(second);
        Assert.Equal(second.Rows.Sum(r => r.Size), rig.Memory.Use.Rows);
        Assert.Null(rig.Partition.FindRoom(second.At));
        await Answer(rig);
        await rig.Checkpoint();
        Assert.Equal((4, 0L), (next.Finished.Sum(), rig.Memory.Use.Rows));
    }

    [Fact]
    public async Task Rows_larger_than_all_memory_pass_alone()
    {
        await using var rig = Rig();
        var (first, large) = (Slice(1, 1), Slice(2, 100));
        Assert.Null(rig.Partition.TakeRoom(first));
        rig.Merge(first);
        var waiting = rig.Partition.TakeRoom(large)!;
        await Answer(rig);
        await waiting.Room;
        Assert.Null(rig.Partition.TakeRoom(large));
        var work = rig.Merge(large);
        await Answer(rig);
        await rig.Checkpoint();
        Assert.Equal((100, 0L), (work.Finished.Sum(), rig.Memory.Use.Rows));
    }

    [Fact]
    public async Task A_partition_that_ends_gives_all_of_it_back()
    {
        await using var rig = Rig();
        Assert.Null(rig.Partition.TakeRoom(Slice(1, 2)));
        rig.Merge(Slice(1, 2));
        Assert.Null(rig.Partition.TakeRoom(Slice(2, 2)));
        var waiting = rig.Partition.TakeRoom(Slice(3, 9))!;
        rig.Partition.Close();
        Assert.True(waiting.Room.IsCanceled);
        Assert.Equal(0, rig.Memory.Use.Rows);
    }

    [Fact]
    public async Task What_an_earlier_run_has_left_is_given_back_and_what_is_under_way_when_it_is_finished()
    {
        await using var rig = Rig();
        var (taken, granted, waits) = (Slice(1, 2), Slice(2, 2), Slice(3, 9));
        Assert.Null(rig.Partition.TakeRoom(taken));
        var work = rig.Merge(taken);
        Assert.Null(rig.Partition.TakeRoom(granted));
        var waiting = rig.Partition.TakeRoom(waits)!;
        var again = Slice(1, 2) with { At = new ChunkSlice.Place(1, 2, 1) };
        var next = rig.Partition.TakeRoom(again)!;
        Assert.True(waiting.Room.IsCanceled);
        Assert.True(work.Done.Task.IsCanceled);
        Assert.Equal(work.Room, rig.Memory.Use.Rows);
        await Answer(rig);
        await next.Room;
        Assert.Null(rig.Partition.TakeRoom(again));
        Assert.Equal(next.Bytes, rig.Memory.Use.Rows);
    }

    [Fact]
    public async Task What_nobody_asks_for_any_more_is_given_back()
    {
        await using var rig = Rig();
        Assert.Null(rig.Partition.TakeRoom(Slice(1, 2)));
        var waiting = rig.Partition.TakeRoom(Slice(2, 9))!;
        _time.Advance(TimeSpan.FromSeconds(20));
        Assert.Same(waiting, rig.Partition.FindRoom(Slice(2, 9).At));
        _time.Advance(TimeSpan.FromSeconds(20));
        rig.Partition.TryParked();
        rig.RunTurns();

        // The first one made room for the second one, which was asked for since.
        await waiting.Room;
        Assert.Equal(waiting.Bytes, rig.Memory.Use.Rows);
        _time.Advance(TimeSpan.FromSeconds(31));
        rig.Partition.TryParked();
        rig.RunTurns();
        Assert.Equal(0, rig.Memory.Use.Rows);
    }

    // For eight rows.
    private PartitionRig Rig() => new(_store, new RigOptions { Time = _time, Memory = 4 * 8 * Slice(1, 1).Rows[0].Size });

    private static async Task Answer(PartitionRig rig)
    {
        for (var i = 0; i < 3; i++)
        {
            await rig.Loaded();
            rig.Sink.Answer(_ => true);
        }

        await rig.Loaded();
    }

    private static ChunkSlice Slice(long number, int rows) => new()
    {
        At = new ChunkSlice.Place(1, 1, number), Generation = 1, Kind = BackfillKind.Rows, Table = Sample.Orders,
        Chunk = new StoredChunk(number, new ChunkSnapshot(new TransactionSnapshot(100, 100), new Lsn(50))),
        Horizon = new BackfillHorizon(new Lsn(5), 3), Position = new Lsn(5),
        Rows =
        [
            .. Enumerable.Range(0, rows).Select(i => new ChunkSlice.ReadRow
            {
                Entity = new(Sample.Orders.FullName, $"{number}-{i}"), Row = Sample.Row($"{number}-{i}", "read", null), Mark = SnapshotMark.Incremental,
            }),
        ],
    };
}
