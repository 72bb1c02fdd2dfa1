using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Model.Configuration;
using Microsoft.Extensions.Logging;
using Npgsql;
using NpgsqlTypes;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>
/// Reads the catalog in a snapshot that sees a given transaction of the log. The server sends a transaction as soon as its commit is in the
/// log. It becomes visible to others only later; with synchronous standbys, this can take any time.
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

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Runs queries in one snapshot that sees the transaction, or whose transaction did not alter the relation. Waits until there is such a
    /// snapshot.
    /// </summary>
    public async Task<T> Read<T>(
        RelationMessage relation, uint xid, Func<NpgsqlConnection, Task<T>> question, CancellationToken cancellation)
    {
        await using var connection = await database.OpenConnectionAsync(cancellation);
        var started = time.GetTimestamp();
        var isLogged = false;
        for (var isUnaltered = false; ;)
        {
            // All queries use the same snapshot. Otherwise the table may be dropped or altered between two of them, and the facts would not
            // fit together.
            await using (var transaction = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, cancellation))
            {
                if (isUnaltered || await Is(connection, Sees, cancellation, new NpgsqlParameter { Value = (long)xid }))
                    return await question(connection);
            }

            // The locks are read between two snapshots. If the transaction releases its lock in between, the next snapshot sees that
            // transaction.
            isUnaltered = !await Is(
                connection, Alters, cancellation, new NpgsqlParameter { Value = (long)xid },
                new NpgsqlParameter { Value = relation.Oid, NpgsqlDbType = NpgsqlDbType.Oid });
            if (isUnaltered)
                continue;
            if (!isLogged && time.GetElapsedTime(started) >= Patience)
            {
                isLogged = true;
                logger.AwaitingCommit(source.Name, $"{relation.Schema}.{relation.Name}", xid);
            }

            await Task.Delay(Pause, time, cancellation);
        }
    }

    private static async Task<bool> Is(NpgsqlConnection connection, string question, CancellationToken cancellation, params NpgsqlParameter[] parameters)
    {
        await using var command = new NpgsqlCommand(question, connection);
        command.Parameters.AddRange(parameters);
        return await command.ExecuteScalarAsync(cancellation) is true;
    }
}
