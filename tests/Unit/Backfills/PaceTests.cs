using CdcOrleans.Grains.Backfills;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace CdcOrleans.Unit.Backfills;

/// <summary>The rate of a backfill, which its tables share.</summary>
public sealed class PaceTests
{
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));

    [Fact]
    public void Tables_share_the_rate()
    {
        var pace = new Pace(100, TimeSpan.FromSeconds(1), _time, default);
        Assert.Equal(50, pace.Bounds.Rows);
        var taken = Enumerable.Range(0, 5).Select(_ => pace.Take(50)).ToList();
        for (var passed = 0; passed < 5; passed++)
        {
            Assert.Equal(Math.Min(5, passed + 1), taken.Count(t => t.IsCompleted));
            _time.Advance(TimeSpan.FromMilliseconds(499));
            Assert.Equal(Math.Min(5, passed + 1), taken.Count(t => t.IsCompleted));
            _time.Advance(TimeSpan.FromMilliseconds(1));
        }
    }

    [Fact]
    public void Time_in_which_nothing_was_read_is_not_made_up_for()
    {
        var pace = new Pace(100, TimeSpan.FromSeconds(1), _time, default);
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.True(pace.Take(50).IsCompleted);
        Assert.False(pace.Take(50).IsCompleted);
    }

    [Fact]
    public void Without_a_rate_nothing_waits()
    {
        var pace = new Pace(0, TimeSpan.FromSeconds(1), _time, default);
        Assert.All(Enumerable.Range(0, 5), _ => Assert.True(pace.Take(100_000).IsCompleted));
    }
}
