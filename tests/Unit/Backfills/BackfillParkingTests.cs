using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing.Pipeline;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace CdcOrleans.Unit.Backfills;

/// <summary>Rows of backfills that a sink does not take.</summary>
public sealed class BackfillParkingTests
{
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private readonly TestStore _store = new();

    [Theory]
    [InlineData(EntityActivation.WhenNeeded)]
    [InlineData(EntityActivation.Always)]
    public async Task A_row_is_parked_behind_a_change_of_its_version_and_both_come_in_order(EntityActivation activation)
    {
        await using var rig = new PartitionRig(_store, new RigOptions { Time = _time, Activation = activation, Delivery = DeliveryPolicy.Default with { Inline = TimeSpan.Zero } });
        var fails = true;
        rig.Sink.Fails = _ => fails ? DeliveryFailure.OfEvent("later") : null;
        rig.Take(Changes.Create("a", 10));
        await Answer(rig);
        await rig.Checkpoint();
        Assert.Single(_store.Parked);
        var work = rig.Merge(Slice(5, "a"));
        await Answer(rig);
        await rig.Checkpoint();
        Assert.True(work.Done.Task.IsCompletedSuccessfully);
        Assert.Equal((1, 0), (work.Parked, work.Refused));
        Assert.Equal(2, _store.Parked.Count);
        Assert.Equal(["shop:0/A:1", "shop:0/A:1:5"], _store.Parked.OrderBy(p => p.Position).Select(p => p.Event.Id));
        fails = false;
        for (var i = 0; i < 40; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(2));
            rig.LookAfter();
            await Answer(rig);
            await rig.Checkpoint();
        }

        Assert.Empty(_store.Parked);
        Assert.Equal(["shop:0/A:1", "shop:0/A:1:5"], rig.Sink.Answered.Select(e => e.Id));
        Assert.Equal(EventOrigin.Backfill, rig.Sink.Answered[^1].Origin);
    }

    [Fact]
    public async Task A_row_that_a_sink_refuses_becomes_a_dead_letter_and_its_neighbours_go_on()
    {
        await using var rig = new PartitionRig(_store, new RigOptions { Time = _time });
        rig.Sink.Refuse = e => e.Entity.Key == "b";
        var work = rig.Merge(Slice(5, "a", "b", "c"));
        await Answer(rig);
        await rig.Checkpoint();
        Assert.True(work.Done.Task.IsCompletedSuccessfully);
        Assert.Equal((0, 1), (work.Parked, work.Refused));
        var letter = Assert.Single(_store.DeadLetters);
        Assert.Equal(("b", EventOrigin.Backfill), (letter.Entity.Key, letter.Origin));
        Assert.Equal(["a", "c"], rig.Sink.Answered.Select(e => e.Entity.Key).Order());
        Assert.Equal(3, _store.States.Count);
    }

    private static async Task Answer(PartitionRig rig)
    {
        await rig.Loaded();
        rig.Sink.Answer(_ => true);
        await rig.Loaded();
    }

    // A snapshot that shows everything so far.
    private static ChunkSlice Slice(long number, params string[] keys) => new()
    {
        At = new ChunkSlice.Place(1, 1, number), Generation = 1, Kind = BackfillKind.Rows, Table = Sample.Orders,
        Chunk = new StoredChunk(number, new ChunkSnapshot(new TransactionSnapshot(100, 100), new Lsn(50))),
        Horizon = new BackfillHorizon(new Lsn(5), 3), Position = new Lsn(5),
        Rows = [.. keys.Select(k => new ChunkSlice.ReadRow { Entity = new(Sample.Orders.FullName, k), Row = Sample.Row(k, "read", null), Mark = SnapshotMark.Incremental })],
    };
}
