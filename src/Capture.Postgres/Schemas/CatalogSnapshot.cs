using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Model.Configuration;
using Microsoft.Extensions.Logging;
using Npgsql;
using NpgsqlTypes;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>
/// Reads the catalog in a snapshot that sees a given transaction of the log. The server sends a transaction as soon as its commit is in the
/// log. It becomes visible to others only later; with synchronous standbys, this can take any time, and if this reader is the standby, it
/// takes until the transaction is confirmed.
/// </summary>
internal sealed class CatalogSnapshot(SourceConfiguration source, NpgsqlDataSource database, TimeProvider time, ILogger logger)
{
    // The log has only the lower 32 bits of the transaction id. The full id is the one with these bits that is nearest to the current ids.
    private const string Sees = """
        SELECT pg_visible_in_snapshot((xmax + ((($1 - xmax + 2147483648) & 4294967295) - 2147483648))::text::xid8, now)
        FROM (SELECT now, pg_snapshot_xmax(now)::text::bigint AS xmax FROM pg_current_snapshot() AS now) AS s
        """;

    // A statement that changes the columns, keys or identity of a table locks the table against other such statements until its transaction
    // is visible.
    private const string Alters = """
        SELECT EXISTS (
            SELECT FROM pg_locks x JOIN pg_locks r ON r.virtualtransaction = x.virtualtransaction
            WHERE x.locktype = 'transactionid' AND x.transactionid = $1::text::xid AND r.relation = $2
              AND r.database = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND r.mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock'))
        """;

    // A statement that drops an index locks it, and so do those that write it anew.
    private const string KeepsPrimaryKey = """
        SELECT NOT EXISTS (
            SELECT FROM pg_locks x JOIN pg_locks r ON r.virtualtransaction = x.virtualtransaction
            WHERE x.locktype = 'transactionid' AND x.transactionid = $1::text::xid
              AND r.relation IN (SELECT indexrelid FROM pg_index WHERE indrelid = $2 AND indisprimary)
              AND r.database = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND r.mode = 'AccessExclusiveLock')
        """;

    // Not every role may see whether a stream counts as a synchronous standby.
    private const string MayWaitForUs = """
        SELECT coalesce((SELECT r.sync_state FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid WHERE s.slot_name = $1), '') <> 'async'
        """;

    // Null on a standby, where no transaction waits for this reader.
    private const string LogEnd = "SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_insert_lsn()::text END";

    // The transaction waits for no other standby than this reader: the others have what was in the log when it was found to wait. Ending
    // the wait leaves it committed; its client gets a warning. The process is found first, with all conditions, so that no other is ended.
    private const string EndWait = """
        WITH waiting AS MATERIALIZED (
            SELECT a.pid FROM pg_stat_activity a JOIN pg_locks x ON x.pid = a.pid
            WHERE x.locktype = 'transactionid' AND x.transactionid = $1::text::xid AND x.granted AND a.wait_event = 'SyncRep'
              AND EXISTS (
                SELECT FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid
                WHERE s.slot_name = $2 AND r.sync_state IN ('sync', 'quorum'))
              AND NOT EXISTS (
                SELECT FROM pg_stat_replication r LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid
                WHERE s.slot_name IS DISTINCT FROM $2 AND r.sync_state IN ('sync', 'quorum') AND (r.flush_lsn >= $3::text::pg_lsn) IS NOT TRUE))
        SELECT bool_or(pg_cancel_backend(pid)) FROM waiting
        """;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    /// <summary>How long a transaction may be invisible until it is assumed that it waits for this reader, if that is possible.</summary>
    private static readonly TimeSpan UnseenPatience = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Runs queries in one snapshot that sees the transaction, or whose transaction did not alter the relation. Waits until there is such a
    /// snapshot. If that lasts, and the transaction may wait for this reader, the other queries are asked as well, in a snapshot from before
    /// the alteration; they end the wait with an answer that is not null. If they have none, the transaction's own wait is ended, if the
    /// role may do that.
    /// </summary>
    /// <param name="relation">The relation.</param>
    /// <param name="xid">The transaction.</param>
    /// <param name="question">The queries.</param>
    /// <param name="unseen">The queries for a snapshot that does not see the transaction. They are told whether it keeps the primary key.</param>
    /// <param name="cancellation">Cancels.</param>
    public async Task<T> Read<T>(
        RelationMessage relation, uint xid, Func<NpgsqlConnection, Task<T>> question, Func<NpgsqlConnection, bool, Task<T?>> unseen,
        CancellationToken cancellation)
        where T : class
    {
        await using var connection = await database.OpenConnectionAsync(cancellation);
        var started = time.GetTimestamp();
        var isLogged = false;
        var isAsked = false;

        // The log's end when the other queries had no answer; null while the transaction's wait is not to be ended.
        string? askedAt = null;
        for (var isUnaltered = false; ;)
        {
            // All queries use the same snapshot. Otherwise the table may be dropped or altered between two of them, and the facts would not
            // fit together.
            await using (var transaction = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, cancellation))
            {
                if (isUnaltered || await Is(connection, Sees, cancellation, new NpgsqlParameter { Value = (long)xid }))
                    return await question(connection);
                if (!isAsked && time.GetElapsedTime(started) >= UnseenPatience && await Is(connection, MayWaitForUs, cancellation, new NpgsqlParameter { Value = source.Slot }))
                {
                    // The locks are read in the same snapshot, which does not see the transaction. So it is still there, with all its locks.
                    isAsked = true;
                    askedAt = await Ask<string>(connection, LogEnd, cancellation);
                    if (await unseen(connection, await HasLocks(KeepsPrimaryKey)) is { } answer && await HasLocks(Alters))
                        return answer;
                }
            }

            // The locks are read between two snapshots. If the transaction releases its lock in between, the next snapshot sees that
            // transaction.
            isUnaltered = !await HasLocks(Alters);
            if (isUnaltered || (askedAt is not null && await EndsWait()))
                continue;
            if (!isLogged && time.GetElapsedTime(started) >= Patience)
            {
                isLogged = true;
                logger.AwaitingCommit(source.Name, $"{relation.Schema}.{relation.Name}", xid);
            }

            await Task.Delay(Pause, time, cancellation);
        }

        async Task<bool> EndsWait()
        {
            try
            {
                var hasEnded = await Is(
                    connection, EndWait, cancellation, new NpgsqlParameter { Value = (long)xid }, new NpgsqlParameter { Value = source.Slot }, new NpgsqlParameter { Value = askedAt });
                if (hasEnded)
                    logger.EndedWait(source.Name, $"{relation.Schema}.{relation.Name}", xid);
                return hasEnded;
            }
            catch (PostgresException denied) when (denied.SqlState == PostgresErrorCodes.InsufficientPrivilege)
            {
                // The warning of the long wait says what to grant.
                askedAt = null;
                return false;
            }
        }

        Task<bool> HasLocks(string locks) => Is(
            connection, locks, cancellation, new NpgsqlParameter { Value = (long)xid }, new NpgsqlParameter { Value = relation.Oid, NpgsqlDbType = NpgsqlDbType.Oid });
    }

    private static async Task<bool> Is(NpgsqlConnection connection, string question, CancellationToken cancellation, params NpgsqlParameter[] parameters) =>
        await Ask<object>(connection, question, cancellation, parameters) is true;

    private static async Task<T?> Ask<T>(NpgsqlConnection connection, string question, CancellationToken cancellation, params NpgsqlParameter[] parameters)
        where T : class
    {
        await using var command = new NpgsqlCommand(question, connection);
        command.Parameters.AddRange(parameters);
        return await command.ExecuteScalarAsync(cancellation) as T;
    }
}
