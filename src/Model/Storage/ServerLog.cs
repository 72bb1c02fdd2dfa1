using CdcOrleans.Model.Changes;

namespace CdcOrleans.Model.Storage;

/// <summary>
/// The log of a server: which server it is, and on which timeline. A promoted standby and a restored server keep the system identifier and
/// begin a new timeline.
/// </summary>
/// <param name="SystemIdentifier">The server's system identifier.</param>
/// <param name="Timeline">Number of the timeline; 0 when it is not known.</param>
/// <param name="Begin">
/// Where the timeline begins, which distinguishes two timelines of the same number; 0/0 for the first one, null when it is not known.
/// </param>
public sealed record ServerLog(string SystemIdentifier, uint Timeline, Lsn? Begin)
{
    /// <summary>Whether the other one may be the same log. What is not known of one of them is not compared.</summary>
    public bool MayBe(ServerLog other) =>
        SystemIdentifier == other.SystemIdentifier
        && (Timeline == other.Timeline || Timeline == 0 || other.Timeline == 0)
        && (Begin == other.Begin || Begin is null || other.Begin is null || Timeline == 0 || other.Timeline == 0);
}
