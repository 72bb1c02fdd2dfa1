using CdcOrleans.Gateway.Api;
using CdcOrleans.Grains.Interfaces.Backfills;
using Xunit;

namespace CdcOrleans.Unit.Gateway;

/// <summary>How far a backfill is, and how long it takes yet.</summary>
public sealed class BackfillReportingTests
{
    [Theory]
    [InlineData("running", 0, 1000, 50, 0, 20L)]
    [InlineData("running", 9, 1000, 50, 0, 20L)]
    [InlineData("running", 10, 1000, 50, 1, 20L)]
    [InlineData("running", 400, 1000, 99.9, 40, 7L)]
    [InlineData("running", 999, 1000, 50, 99, 1L)]
    [InlineData("running", 400, 1000, 0, 40, null)]
    [InlineData("running", 400, 1000, double.NaN, 40, null)]
    [InlineData("paused", 400, 1000, 50, 40, null)]
    [InlineData("failed", 400, 1000, 50, 40, null)]
    [InlineData("cancelled", 1000, 1000, 50, 99, null)]
    [InlineData("done", 400, 1000, 50, 100, null)]
    [InlineData("done", 0, 0, 0, 100, null)]
    // More rows than the server estimated.
    [InlineData("running", 1500, 1000, 50, 99, null)]
    [InlineData("running", 0, 0, 50, 0, null)]
    [InlineData("running", 1L << 60, 1L << 61, 1024, 50, 1L << 50)]
    public void Percent_is_100_only_when_it_is_done(string state, long done, long total, double speed, int percent, long? seconds)
    {
        var item = BackfillReporting.Item(View(state, speed, Table(done, total, isDone: false)));
        Assert.Equal(percent, item.Percent);
        Assert.Equal(seconds, item.SecondsLeft);
    }

    // Of a table that is done, the estimate says nothing any more.
    [Fact]
    public void A_table_that_is_done_has_nothing_left()
    {
        var item = BackfillReporting.Item(View("running", 10, Table(10, 100_000, isDone: true), Table(40, 90, isDone: false)));
        Assert.Equal((100_090, 50, 50, 5L), (item.RowsTotal, item.RowsDone, item.Percent, item.SecondsLeft));
        item = BackfillReporting.Item(View("running", 10, Table(100_000, 10, isDone: true), Table(0, 100_000, isDone: false)));
        Assert.Equal((50, 10_000L), (item.Percent, item.SecondsLeft));
    }

    private static BackfillView View(string state, double speed, params BackfillTableView[] tables) => new()
    {
        Id = 1, Source = "shop", Kind = "rows", State = state, Rate = 0, Speed = speed, Who = "me", CreatedAt = default, UpdatedAt = default, Tables = tables,
    };

    private static BackfillTableView Table(long done, long total, bool isDone) => new()
    {
        Table = "public.a", RowsTotal = total, RowsDone = done, IsDone = isDone, Sent = 0, Unchanged = 0, Created = 0, Updated = 0, Deleted = 0, Parked = 0, Refused = 0,
    };
}
