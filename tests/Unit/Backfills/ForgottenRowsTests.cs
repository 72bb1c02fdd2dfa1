using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing.Pipeline;
using Xunit;

namespace CdcOrleans.Unit.Backfills;

/// <summary>Rows that were read before the stored rows of their table became invalid.</summary>
public sealed class ForgottenRowsTests
{
    [Theory]
    [InlineData(90, true)]
    [InlineData(100, true)]
    [InlineData(101, false)]
    public async Task They_are_refused_unless_their_horizon_is_later(int horizon, bool isForgotten)
    {
        await using var rig = new PartitionRig(new TestStore(), new RigOptions());
        Assert.False(rig.Partition.MayBeOutdated(Slice(horizon)));
        rig.Partition.Forget([Sample.Orders.TableId + 1], new ChangeVersion(new Lsn(1000), 0));
        Assert.False(rig.Partition.MayBeOutdated(Slice(horizon)));
        rig.Partition.Forget([Sample.Orders.TableId], new ChangeVersion(new Lsn(100), 3));
        Assert.Equal(isForgotten, rig.Partition.MayBeOutdated(Slice(horizon)));
    }

    private static ChunkSlice Slice(int horizon) => new()
    {
        At = new ChunkSlice.Place(1, 1, 1), Generation = 1, Kind = BackfillKind.Rows, Table = Sample.Orders,
        Chunk = new StoredChunk(1, new ChunkSnapshot(new TransactionSnapshot(50, 50), new Lsn(2000))),
        Horizon = new BackfillHorizon(new Lsn((ulong)horizon), 40), Position = new Lsn((ulong)horizon), Rows = [],
    };
}
