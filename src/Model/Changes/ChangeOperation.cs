namespace CdcOrleans.Model.Changes;

/// <summary>The operation of a change.</summary>
public enum ChangeOperation : byte
{
    /// <summary>The row was inserted.</summary>
    Create = 1,

    /// <summary>The row was updated and kept its key.</summary>
    Update = 2,

    /// <summary>The row was deleted.</summary>
    Delete = 3,

    /// <summary>The row was read by a backfill.</summary>
    Read = 4,

    /// <summary>The table was truncated: all its rows are deleted. The change has no images, and it goes to every partition.</summary>
    Truncate = 5,

    /// <summary>A logical message (<c>pg_logical_emit_message</c>); see <see cref="Schemas.SourceStreams.Messages"/>.</summary>
    Message = 6,

    /// <summary>The begin or the end of a transaction; see <see cref="Schemas.SourceStreams.Transactions"/>.</summary>
    Transaction = 7,

    /// <summary>A heartbeat that was read from the log; see <see cref="Schemas.SourceStreams.Heartbeats"/>.</summary>
    Heartbeat = 8,
}
