using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Capture.Postgres.Checks;

/// <summary>
/// Checks whether a server's log contains everything that was read before: whether it has the same timeline, or left that timeline only
/// after the last position that was read.
/// </summary>
internal static class TimelineCheck
{
    /// <summary>
    /// Returns why the log may lack what was delivered; null when it contains all of it. The end of the log is not checked here.
    /// </summary>
    /// <param name="server">The server's timelines.</param>
    /// <param name="last">What was read and confirmed, and on which timeline. The system identifier is not compared.</param>
    public static string? Divergence(ServerTimelines server, ConfirmedPosition last)
    {
        var (read, now) = (last.Log, server.Log);
        if (read.Timeline == 0)
            return null;
        if (now.Timeline == read.Timeline)
        {
            return now.Begin is { } begin && read.Begin is { } begun && begin != begun && last.Reached > Lower(begin, begun)
                ? $"timeline {now.Timeline} of the server begins at {begin}, but the one of that number that was read up to {last.Reached} began at {begun}: "
                    + "the server was promoted or restored at another position"
                : null;
        }

        if (server.History is not { } history)
        {
            return $"the server is on timeline {now.Timeline}, and timeline {read.Timeline} was read up to {last.Reached}, but the server does not give the history of "
                + $"its timelines (TIMELINE_HISTORY {now.Timeline}), so it is not known whether its log contains all of that";
        }

        if (Left(history, read) is not { } left)
        {
            return $"the server is on timeline {now.Timeline}, whose history does not have timeline {read.Timeline}, which was read up to {last.Reached}: "
                + "it is a former primary or another standby, or was restored from a backup";
        }

        return last.Reached > left
            ? $"the server is on timeline {now.Timeline}, whose log left timeline {read.Timeline} at {left}, but timeline {read.Timeline} was read up to {last.Reached}: "
                + "a standby was promoted that did not have the last changes, or the server was restored to an earlier time. "
                + $"What was delivered after {left} is not in the server's log"
            : null;
    }

    // Where the server's log left the timeline that was read. If that number stands for another timeline, which begins elsewhere, then the
    // logs are the same only up to the lower one of both begins.
    private static Lsn? Left(IReadOnlyList<TimelineSwitch> history, ServerLog read)
    {
        for (var i = history.Count - 1; i >= 0; i--)
        {
            if (history[i].Timeline != read.Timeline)
                continue;
            var begin = i == 0 ? Lsn.None : history[i - 1].End;
            return read.Begin is { } begun && begun != begin ? Lower(begin, begun) : history[i].End;
        }

        return null;
    }

    private static Lsn Lower(Lsn one, Lsn other) => one < other ? one : other;
}
