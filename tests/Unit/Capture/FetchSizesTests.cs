using CdcOrleans.Capture.Postgres.Backfills;
using CdcOrleans.Model.Capture;
using Xunit;

namespace CdcOrleans.Unit.Capture;

/// <summary>How many rows of a chunk are fetched at once, from tables that are fast, slow, or slow to begin.</summary>
public sealed class FetchSizesTests
{
    private static readonly ChunkBounds Bounds = new() { Time = TimeSpan.FromSeconds(1) };
    private readonly Clock _clock = new();

    [Fact]
    public void A_fast_table_is_fetched_in_growing_parts_up_to_the_rows_of_a_chunk()
    {
        var fetches = Read(new FetchSizes(Bounds, _clock), _ => 0.01);
        Assert.Equal([1, 16, 32, 64, 128, 256, 512, 1024], fetches.Take(8));
        Assert.Equal(10_000, fetches.Sum());
    }

    // The rows come one by one, so the last fetch ends when its last row is there.
    [Theory]
    [InlineData(1000, 0.5)]
    [InlineData(1000, 10)]
    [InlineData(1000, 170)]
    [InlineData(50, 3)]
    [InlineData(50, 40)]
    public void A_slow_table_does_not_exceed_the_time(int budget, double millis)
    {
        var bounds = Bounds with { Time = TimeSpan.FromMilliseconds(budget) };
        var fetches = Read(new FetchSizes(bounds, _clock), _ => millis);
        Assert.InRange((fetches.Sum() - 1) * millis, (budget * 0.7) - millis, budget + 0.01);
    }

    [Fact]
    public void A_row_that_takes_longer_than_the_chunk_may_is_followed_by_one_at_most() =>
        Assert.Equal([1, 1], Read(new FetchSizes(Bounds, _clock), _ => 5000));

    // Another chunk would begin as slowly.
    [Fact]
    public void What_comes_before_the_first_row_does_not_count()
    {
        var fetches = Read(new FetchSizes(Bounds, _clock), row => row == 0 ? 5000 : 0.5);
        Assert.InRange(fetches.Sum(), 1000, 2001);
    }

    [Fact]
    public void A_table_that_becomes_slow_exceeds_the_time_by_one_part_at_most()
    {
        var fetches = Read(new FetchSizes(Bounds, _clock), row => row < 100 ? 0.1 : 20);
        Assert.Equal([1, 16, 32, 64, 128], fetches);
    }

    [Fact]
    public void The_bytes_of_the_chunk_are_a_bound()
    {
        var fetches = Read(new FetchSizes(Bounds with { Bytes = 100_000 }, _clock), _ => 0.01, bytes: 5000);
        Assert.Equal(20, fetches.Sum());
    }

    [Fact]
    public void A_part_of_the_table_without_rows_is_no_reason_to_end()
    {
        var sizes = new FetchSizes(Bounds, _clock);
        Assert.Equal(1, sizes.Begin());
        _clock.Millis += 9000;
        sizes.End(0);
        Assert.False(sizes.IsFull);
        Assert.Equal(1, sizes.Begin());
    }

    private List<int> Read(FetchSizes sizes, Func<int, double> millis, int bytes = 10)
    {
        var fetches = new List<int>();
        while (!sizes.IsFull)
        {
            fetches.Add(sizes.Begin());
            for (var i = fetches[^1]; i > 0; i--)
            {
                _clock.Millis += millis(sizes.Rows);
                sizes.Add(bytes);
            }

            sizes.End(fetches[^1]);
        }

        return fetches;
    }

    private sealed class Clock : TimeProvider
    {
        public double Millis { get; set; } = 1;

        public override long TimestampFrequency => 1_000_000_000;

        public override long GetTimestamp() => (long)(Millis * 1_000_000);
    }
}
