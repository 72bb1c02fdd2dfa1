using CdcOrleans.Model.Changes;

namespace CdcOrleans.Model.Storage;

/// <summary>
/// How far the server was told that a source's log is done with: written before the server is told, so that a slot which says more is
/// not the one that was read, or was moved by somebody. Safe for concurrent use.
/// </summary>
public interface ISourceMarks
{
    /// <summary>The mark of a source; null before its first start.</summary>
    Task<SourceMark?> Find(string source, CancellationToken cancellation);

    /// <summary>Sets the mark.</summary>
    /// <exception cref="StaleOwnerException">The epoch is not the store's current one.</exception>
    Task Set(string source, long epoch, string systemIdentifier, Lsn confirmed, CancellationToken cancellation);

    /// <summary>
    /// Forgets what is held of a source's rows, its partitions' progress and its relations' history, and that a gap was accepted: what
    /// comes from its log next goes on from nothing. Sets the mark last. Partitions that are open must be ended by the caller. Doing it
    /// again is harmless.
    /// </summary>
    /// <exception cref="StaleOwnerException">The epoch is not the store's current one.</exception>
    Task BeginAnew(string source, long epoch, string systemIdentifier, Lsn confirmed, CancellationToken cancellation);
}

/// <summary>What a source's reader did last.</summary>
/// <param name="SystemIdentifier">System identifier of the server that was read.</param>
/// <param name="Confirmed">What the server may have been told.</param>
/// <param name="GapAccepted">Whether somebody has said, within the last hour, that what is missing can be done without.</param>
public sealed record SourceMark(string SystemIdentifier, Lsn Confirmed, bool GapAccepted);
