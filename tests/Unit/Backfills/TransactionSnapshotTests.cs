using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Changes;
using CsCheck;
using Xunit;

namespace CdcOrleans.Unit.Backfills;

public sealed class TransactionSnapshotTests
{
    [Theory]
    [InlineData("10:20:10,14,15")]
    [InlineData("795:795:")]
    [InlineData("4294967290:4294967300:4294967290,4294967299")]
    public void The_text_of_the_server_is_read_and_written(string text) => Assert.Equal(text, TransactionSnapshot.Parse(text).ToString());

    [Theory]
    [InlineData("")]
    [InlineData("10:20")]
    [InlineData("20:10:")]
    [InlineData("10:20:9")]
    [InlineData("10:20:20")]
    [InlineData("10:20:12,")]
    [InlineData("10:20:-1")]
    [InlineData("10:20:a")]
    public void Other_texts_are_refused(string text) => Assert.Throws<FormatException>(() => TransactionSnapshot.Parse(text));

    [Fact]
    public void Ended_transactions_are_visible_and_open_and_later_ones_are_not()
    {
        var snapshot = TransactionSnapshot.Parse("10:20:10,14,15");

        Assert.Equal([9, 11, 12, 13, 16, 17, 18, 19], Enumerable.Range(8, 20).Skip(1).Where(x => snapshot.IsVisible((ulong)x)));
    }

    [Fact]
    public void A_later_snapshot_includes_an_earlier_one() => Gen.Int.Sample(seed =>
    {
        var dice = new Random(seed);
        var open = new List<ulong>();
        ulong next = 100, lastEnded = 99;
        var snapshots = new List<TransactionSnapshot>();
        for (var step = 0; step < 40; step++)
        {
            if (dice.Next(2) == 0)
                open.Add(next++);
            else if (open.Count > 0)
            {
                var ended = open[dice.Next(open.Count)];
                open.Remove(ended);
                lastEnded = Math.Max(lastEnded, ended);
            }

            snapshots.Add(new TransactionSnapshot(open.Append(lastEnded + 1).Min(), lastEnded + 1, [.. open.Where(o => o <= lastEnded)]));
        }

        for (var i = 0; i < snapshots.Count; i++)
        {
            for (var j = 0; j < snapshots.Count; j++)
            {
                var isIncluded = Enumerable.Range(90, 60).All(x => !snapshots[i].IsVisible((ulong)x) || snapshots[j].IsVisible((ulong)x));
                Assert.Equal(isIncluded, snapshots[i].IsIncludedIn(snapshots[j]));
                Assert.True(i > j || isIncluded);
            }
        }
    });

    [Theory]
    [InlineData(5u, 7UL, 5UL)]
    [InlineData(9u, 7UL, 9UL)]
    [InlineData(0u, 4_294_967_300UL, 0UL)]
    [InlineData(4_294_967_290u, 4_294_967_300UL, 4_294_967_290UL)]
    [InlineData(4u, 4_294_967_290UL, 4_294_967_300UL)]
    [InlineData(4_294_967_290u, 100UL, 4_294_967_290UL)]
    public void An_id_is_widened_to_the_nearest_one(uint xid, ulong reference, ulong expected) =>
        Assert.Equal(expected, TransactionIds.Widen(xid, reference));

    [Fact]
    public void Widening_finds_every_id_that_is_less_than_2_to_the_31_away() =>
        Gen.Select(Gen.ULong[1UL << 31, 1UL << 60], Gen.Int[int.MinValue + 1, int.MaxValue])
            .Where((reference, distance) => (uint)(reference + (ulong)distance) != 0)
            .Sample((reference, distance) => Assert.Equal(reference + (ulong)distance, TransactionIds.Widen((uint)(reference + (ulong)distance), reference)));

    [Fact]
    public void A_position_before_the_fence_includes_only_what_is_visible()
    {
        var chunk = new ChunkSnapshot(TransactionSnapshot.Parse("10:20:10"), new Lsn(1000));

        Assert.True(chunk.Includes(new Lsn(999), 19));
        Assert.False(chunk.Includes(new Lsn(999), 10));
        Assert.False(chunk.Includes(new Lsn(1000), 19));
        Assert.False(chunk.IsPassed(new Lsn(999)));
        Assert.True(chunk.IsPassed(new Lsn(1000)));
    }
}
