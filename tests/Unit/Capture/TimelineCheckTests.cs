using CdcOrleans.Capture.Postgres.Checks;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Storage;
using Xunit;

namespace CdcOrleans.Unit.Capture;

public sealed class TimelineCheckTests
{
    private const string Twice = "# comment\n1\t0/3000\tno recovery target specified\n\n2\t0/5000\tno recovery target specified\n";

    [Theory]
    [InlineData(1, 0x0, 0x9000)] // The same timeline.
    [InlineData(0, null, 0x9000)] // What was stored before timelines were.
    public void The_first_timeline_is_the_same_wherever_it_ends(uint timeline, int? begin, int confirmed) =>
        Assert.Null(Divergence(1, null, timeline, begin, confirmed));

    [Theory]
    [InlineData(3, 0x5000, 0x9000)] // The same timeline.
    [InlineData(3, null, 0x9000)] // The same, and it was not known where it begins.
    [InlineData(2, 0x3000, 0x4fff)]
    [InlineData(2, 0x3000, 0x5000)] // Left exactly where it was read to.
    [InlineData(2, null, 0x5000)]
    [InlineData(1, 0x0, 0x3000)] // Two promotions.
    [InlineData(1, 0x0, 0x2000)]
    [InlineData(0, null, 0x9000)]
    public void A_log_that_was_left_after_the_position_has_all_of_it(uint timeline, int? begin, int confirmed) =>
        Assert.Null(Divergence(3, Twice, timeline, begin, confirmed));

    [Theory]
    [InlineData(2, 0x3000, 0x5001, "on timeline 3, whose log left timeline 2 at 0/5000, but timeline 2 was read up to 0/5001")]
    [InlineData(1, 0x0, 0x3001, "on timeline 3, whose log left timeline 1 at 0/3000, but timeline 1 was read up to 0/3001")]
    [InlineData(1, 0x0, 0x9000, "left timeline 1 at 0/3000")] // Between the two promotions, and after both.
    [InlineData(2, 0x2000, 0x3000, "left timeline 2 at 0/2000")] // Another timeline 2, which began earlier.
    [InlineData(2, 0x4000, 0x4800, "left timeline 2 at 0/3000")] // Another one, which began later.
    [InlineData(3, 0x4000, 0x5000, "timeline 3 of the server begins at 0/5000, but the one of that number that was read up to 0/5000 began at 0/4000")]
    [InlineData(3, 0x6000, 0x6000, "began at 0/6000")]
    [InlineData(4, 0x6000, 0x6000, "on timeline 3, whose history does not have timeline 4")] // A lower timeline: the former primary.
    [InlineData(7, null, 0x1000, "does not have timeline 7")]
    public void A_log_that_was_left_before_the_position_lacks_changes(uint timeline, int? begin, int confirmed, string words) =>
        Assert.Contains(words, Divergence(3, Twice, timeline, begin, confirmed), StringComparison.Ordinal);

    [Fact]
    public void The_first_timeline_after_a_later_one_is_a_former_primary() =>
        Assert.Contains("on timeline 1, whose history does not have timeline 2", Divergence(1, null, 2, 0x3000, 0x3000), StringComparison.Ordinal);

    [Theory]
    [InlineData(null)]
    [InlineData("one\t0/3000\n")]
    [InlineData("1\n")]
    [InlineData("1\t3000\n")]
    public void Without_a_history_only_the_same_timeline_is_known_to_have_everything(string? history)
    {
        Assert.Null(Divergence(2, history, 2, 0x3000, 0x9000));
        Assert.Contains("does not give the history", Divergence(2, history, 1, 0x0, 0x10), StringComparison.Ordinal);
    }

    [Fact]
    public void What_was_delivered_counts_even_if_it_was_not_confirmed()
    {
        var server = ServerTimelines.Of("id", 3, Twice);
        var last = new ConfirmedPosition(new ServerLog("id", 2, new Lsn(0x3000)), new Lsn(0x4000), GapAccepted: false);
        Assert.Null(TimelineCheck.Divergence(server, last.WithDelivered(new Lsn(0x4fff))));

        // A commit record that begins where the timeline was left is not in the log any more.
        Assert.Contains("was read up to 0/5001", TimelineCheck.Divergence(server, last.WithDelivered(new Lsn(0x5000))), StringComparison.Ordinal);
        Assert.Equal(last, last.WithDelivered(Lsn.None));
        Assert.Equal(new Lsn(0x6001), last.WithDelivered(new Lsn(0x6000)).WithDelivered(new Lsn(0x5000)).Reached);
    }

    [Fact]
    public void Logs_are_told_apart_by_what_is_known_of_both()
    {
        var log = new ServerLog("id", 2, new Lsn(0x3000));
        Assert.True(log.MayBe(log) && log.MayBe(log with { Begin = null }) && log.MayBe(new ServerLog("id", 0, null)));
        Assert.False(log.MayBe(log with { SystemIdentifier = "other" }) || log.MayBe(log with { Timeline = 3 }) || log.MayBe(log with { Begin = new Lsn(0x4000) }));
    }

    private static string? Divergence(uint server, string? history, uint read, int? begin, int confirmed) =>
        TimelineCheck.Divergence(
            ServerTimelines.Of("id", server, history),
            new ConfirmedPosition(new ServerLog("id", read, begin is { } at ? new Lsn((ulong)at) : null), new Lsn((ulong)confirmed), GapAccepted: false));
}
