using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Model.Configuration;
using Microsoft.Extensions.Logging;
using Npgsql;
using NpgsqlTypes;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>
/// Reads the catalog as of a transaction of the log, or later. A commit is sent as soon as it is in the log, and becomes visible
/// only afterwards: where the server waits for synchronous standbys, any time later.
/// </summary>
internal sealed class CatalogSnapshot(SourceConfiguration source, NpgsqlDataSource database, TimeProvider time, ILogger logger)
{
    // The log has the lower half of a transaction's id. The whole of it is the one next to those that are given now.
    private const string Sees = """
        SELECT pg_visible_in_snapshot((xmax + ((($1 - xmax + 2147483648) & 4294967295) - 2147483648))::text::xid8, now)
        FROM (SELECT now, pg_snapshot_xmax(now)::text::bigint AS xmax FROM pg_current_snapshot() AS now) AS s
        """;

    // What changes a table's columns, keys or identity locks it against others that would, until the transaction is visible.
    private const string Alters = """
        SELECT EXISTS (
            SELECT FROM pg_locks x JOIN pg_locks r ON r.virtualtransaction = x.virtualtransaction
            WHERE x.locktype = 'transactionid' AND x.transactionid = $1::text::xid AND r.relation = $2
              AND r.database = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND r.mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock'))
        """;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>Asks in one snapshot that has whatever the transaction did to the relation; waits until there is such.</summary>
    public async Task<T> Read<T>(
        RelationMessage relation, uint xid, Func<NpgsqlConnection, Task<T>> question, CancellationToken cancellation)
    {
        await using var connection = await database.OpenConnectionAsync(cancellation);
        var started = time.GetTimestamp();
        var told = false;
        for (var isUnaltered = false; ;)
        {
            // One snapshot for all: the table may be dropped or altered at any moment, and half of its facts would be taken for the whole.
            await using (var transaction = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, cancellation))
            {
                if (isUnaltered || await Is(connection, Sees, cancellation, new NpgsqlParameter { Value = (long)xid }))
                    return await question(connection);
            }

            // Locks are looked at between two snapshots: one that is let go of meanwhile is that of a transaction which the next one sees.
            isUnaltered = !await Is(
                connection, Alters, cancellation, new NpgsqlParameter { Value = (long)xid },
                new NpgsqlParameter { Value = relation.Oid, NpgsqlDbType = NpgsqlDbType.Oid });
            if (isUnaltered)
                continue;
            if (!told && time.GetElapsedTime(started) >= Patience)
            {
                told = true;
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
