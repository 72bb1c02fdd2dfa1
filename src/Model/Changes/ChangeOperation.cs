namespace CdcOrleans.Model.Changes;

/// <summary>What a change is: of a row, of a whole table, or of neither.</summary>
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

    /// <summary>The table was truncated: every row of it is gone. It has no images, and goes to every partition.</summary>
    Truncate = 5,

    /// <summary>A logical message (<c>pg_logical_emit_message</c>); see <see cref="Schemas.SourceStreams.Messages"/>.</summary>
    Message = 6,

    /// <summary>A transaction's begin or end; see <see cref="Schemas.SourceStreams.Transactions"/>.</summary>
    Transaction = 7,

    /// <summary>A heartbeat came back through the log; see <see cref="Schemas.SourceStreams.Heartbeats"/>.</summary>
    Heartbeat = 8,
}
