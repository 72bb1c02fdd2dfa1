using CdcOrleans.Model.Storage;
using CdcOrleans.Storage.Postgres;
using Xunit;
using static CdcOrleans.Unit.Storage.CheckpointShapes;

namespace CdcOrleans.Unit.Storage;

public class StaleOwnersTests
{
    private static readonly Checkpoint Offered = new("shop", 4, [Partition(2, generation: 5), Partition(1, generation: 7), Partition(9, generation: 1)]);

    [Fact]
    public void Names_epoch_and_partitions()
    {
        var refusal = StaleOwners.Find(Offered, 6, new Dictionary<int, long> { [1] = 8, [2] = 5 });
        Assert.NotNull(refusal);
        Assert.True(refusal.EpochIsStale);
        Assert.Equal([1, 9], refusal.Partitions);
        Assert.Equal(
            "A checkpoint of source 'shop' was refused: it has epoch 4, but the current epoch is 6; "
            + "partition 1 has generation 7, but the current generation is 8; partition 9 has generation 1, but the current generation is none.",
            refusal.Message);
    }

    [Fact]
    public void Finds_none_where_all_is_current() =>
        Assert.Null(StaleOwners.Find(Offered, 4, new Dictionary<int, long> { [1] = 7, [2] = 5, [9] = 1 }));
}
