using CdcOrleans.Model.Changes;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Capture.Postgres;

/// <summary>What capture logs.</summary>
internal static partial class CaptureLog
{
    [LoggerMessage(Level = LogLevel.Information, Message = "Source {Source}: created publication {Publication} for {Tables} tables.")]
    public static partial void PublicationCreated(this ILogger logger, string source, string publication, int tables);

    [LoggerMessage(Level = LogLevel.Information, Message = "Source {Source}: added {Tables} tables to publication {Publication}.")]
    public static partial void PublicationExtended(this ILogger logger, string source, string publication, int tables);

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "Source {Source}: creating slot {Slot}; the server first waits until the transactions that are open now have ended.")]
    public static partial void CreatingSlot(this ILogger logger, string source, string slot);

    [LoggerMessage(Level = LogLevel.Information, Message = "Source {Source}: created slot {Slot} at {Position}.")]
    public static partial void SlotCreated(this ILogger logger, string source, string slot, Lsn position);

    [LoggerMessage(Level = LogLevel.Information, Message = "Source {Source}: streaming from slot {Slot}, server process {Process}.")]
    public static partial void Streaming(this ILogger logger, string source, string slot, int process);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Source {Source}: ended server process {Process}, which a stale reader had left on slot {Slot}.")]
    public static partial void StaleReaderEnded(this ILogger logger, string source, string slot, int process);

    [LoggerMessage(Level = LogLevel.Information, Message = "Source {Source}: table {Table} has schema version {Version} with {Columns} columns.")]
    public static partial void RelationAnnounced(this ILogger logger, string source, string table, int version, int columns);

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "Source {Source}: the publication has table {Table}, which the configuration does not select; its changes are only counted.")]
    public static partial void RelationNotSelected(this ILogger logger, string source, string table);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Source {Source}: nothing identifies rows of table {Table} in the log, so the log has only its inserts, and no rows of it are stored. "
            + "To capture updates and deletes, add a primary key or set REPLICA IDENTITY FULL.")]
    public static partial void InsertsOnly(this ILogger logger, string source, string table);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Source {Source}: rows of table {Table} may have changed without an event before {Version}: {Reason}. Its stored rows are deleted.")]
    public static partial void RowsDoubted(this ILogger logger, string source, string table, ChangeVersion version, string reason);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Source {Source}: rows of table {Table} may have changed without an event: the table was rewritten, a partition came, went or was "
            + "truncated, or the publication was altered. Its stored rows are deleted.")]
    public static partial void RowsChangedSilently(this ILogger logger, string source, string table);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Source {Source}: table {Table} has another key, name or mode of entities from {Version} on; its stored rows are deleted.")]
    public static partial void TablesForgotten(this ILogger logger, string source, string table, ChangeVersion version);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Source {Source}: table {Table} joined publication {Publication} while streaming; rows written before are captured only by a backfill.")]
    public static partial void TableJoined(this ILogger logger, string source, string table, string publication);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Source {Source}: {Values} values of the change at {Position} are longer than {Limit} bytes (large_values.limit) and were left out.")]
    public static partial void ValuesOmitted(this ILogger logger, string source, int values, int limit, Lsn position);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Source {Source}: tables could not be added to publication {Publication} now: {Error}. The next check tries again.")]
    public static partial void NotJoined(this ILogger logger, string source, string publication, string error);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Source {Source}: transaction {Xid} altered table {Table}; it is in the log but not visible yet, so its changes wait. "
            + "The server probably waits for a standby in synchronous_standby_names, and the new key or a new type is not certain before. If that "
            + "setting names this reader, the transaction waits for ever. Grant this source's role pg_read_all_stats and pg_signal_backend, and it ends "
            + "such waits; or find the process that holds this transactionid in pg_locks, and end its wait with pg_cancel_backend. It stays committed.")]
    public static partial void AwaitingCommit(this ILogger logger, string source, string table, uint xid);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Source {Source}: transaction {Xid} altered table {Table} and waited for this reader as a standby in synchronous_standby_names, while the "
            + "new key or a new type is not certain before it is visible. Its wait was ended. It is committed; its client got a warning.")]
    public static partial void EndedWait(this ILogger logger, string source, string table, uint xid);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Source {Source}: transaction {Xid} altered table {Table}; it is in the log but not visible yet, so the server probably waits for "
            + "this reader as a standby in synchronous_standby_names. Its changes are delivered without stored rows.")]
    public static partial void AlteredUnseen(this ILogger logger, string source, string table, uint xid);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Source {Source}: the log lacks some of the columns that identify rows of table {Table} (generated columns, those that the publication's "
            + "column list leaves out, or those of an index that only identifies rows of its partitions), so its events have no key and no rows of it are stored. Add them to the column list; or set "
            + "REPLICA IDENTITY FULL on the table and its partitions, or use a primary key of ordinary columns.")]
    public static partial void IdentifiedInPart(this ILogger logger, string source, string table);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Source {Source}: partitioned table {Table} has REPLICA IDENTITY FULL but not all of its partitions have it, so only the keys "
            + "of old rows are used. Run ALTER TABLE … REPLICA IDENTITY FULL for each partition.")]
    public static partial void PartitionsIdentifiedByKey(this ILogger logger, string source, string table);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Source {Source}: {Words}")]
    public static partial void TableNotCaptured(this ILogger logger, string source, string words);

    [LoggerMessage(Level = LogLevel.Debug, Message = "Source {Source}: the position is reported later, because it could not be stored: {Error}")]
    public static partial void NotReported(this ILogger logger, string source, string error);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Source {Source}: the replication connection did not close in time and was abandoned.")]
    public static partial void ConnectionAbandoned(this ILogger logger, string source);
}
