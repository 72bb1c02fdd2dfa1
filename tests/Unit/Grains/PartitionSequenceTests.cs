using CdcOrleans.Grains.Partitions;
using CdcOrleans.Model.Changes;
using CdcOrleans.Testing.Pipeline;
using CsCheck;
using Xunit;

namespace CdcOrleans.Unit.Grains;

public sealed class PartitionSequenceTests
{
    [Fact]
    public void Progress_is_the_longest_finished_prefix_whatever_the_order_of_finishing() =>
        Gen.Int[1, 200].SelectMany(n => Gen.Shuffle(Enumerable.Range(0, n).ToArray())).Sample(order =>
        {
            var sequence = new PartitionSequence(ChangeVersion.None);
            var places = new long[order.Length];
            for (var i = 0; i < order.Length; i++)
                Assert.True(sequence.TryAccept(Sample.Version(i + 1), out places[i]));
            var finished = new bool[order.Length];
            foreach (var i in order)
            {
                sequence.Finish(places[i]);
                finished[i] = true;
                var prefix = finished.TakeWhile(f => f).Count();
                Assert.Equal(prefix == 0 ? ChangeVersion.None : Sample.Version(prefix), sequence.Progress);
                Assert.Equal(order.Length - prefix, sequence.Unfinished);
            }
        });

    [Fact]
    public void What_was_taken_before_is_not_taken_again()
    {
        var sequence = new PartitionSequence(Sample.Version(10, 3));
        Assert.False(sequence.TryAccept(Sample.Version(10, 3), out _));
        Assert.False(sequence.TryAccept(Sample.Version(9, 99), out _));
        Assert.True(sequence.TryAccept(Sample.Version(10, 4), out _));
        Assert.False(sequence.TryAccept(Sample.Version(10, 4), out _));
        Assert.Equal(Sample.Version(10, 3), sequence.Progress);
    }
}
