namespace CdcOrleans.Model.Changes;

/// <summary>The committed transaction that a change belongs to; one object shared by all its changes.</summary>
public sealed class SourceTransaction
{
    /// <summary>Position of the commit record.</summary>
    public required Lsn CommitLsn { get; init; }

    /// <summary>End of the commit record of the previous transaction in this stream; <see cref="Lsn.None"/> for the first.</summary>
    public Lsn PreviousCommitEnd { get; init; }

    /// <summary>The 32-bit transaction id; 0 for a non-transactional message.</summary>
    public required uint Xid { get; init; }

    /// <summary>Commit time in microseconds since 1970-01-01 UTC, by the server's clock.</summary>
    public required long CommitMicros { get; init; }

    /// <summary>The replication origin's name; null for changes made at the source itself.</summary>
    public string? Origin { get; init; }

    /// <summary>Position of the commit at the replication origin; <see cref="Lsn.None"/> where that is not known.</summary>
    public Lsn OriginLsn { get; init; }
}
