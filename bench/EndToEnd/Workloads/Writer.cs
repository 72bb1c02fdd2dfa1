using CdcOrleans.Bench.EndToEnd.Servers;
using Npgsql;

namespace CdcOrleans.Bench.EndToEnd.Workloads;

/// <summary>Piles up log while nobody reads it.</summary>
internal sealed class Writer(DatabaseServer server)
{
    public async Task CreateTables(CancellationToken cancel)
    {
        foreach (var table in Table.All)
            await server.Execute(table.Definition, cancel);
    }

    /// <summary>Writes a step, and leaves the table to autovacuum.</summary>
    public async Task<Goal> Append(Step step, Table table, CancellationToken cancel)
    {
        await using var connection = await Connect(cancel);
        return await Append(connection, table, step, cancel);
    }

    /// <summary>Writes a step, then vacuums and checkpoints, so that no drain pays for what the writing left behind.</summary>
    public async Task<Goal> Write(Table table, Step step, CancellationToken cancel)
    {
        await using var connection = await Connect(cancel);
        var goal = await Append(connection, table, step, cancel);
        await Run(connection, $"VACUUM (ANALYZE) public.{table.Name}", cancel);
        await Run(connection, "CHECKPOINT", cancel);
        return goal;
    }

    private async Task<NpgsqlConnection> Connect(CancellationToken cancel)
    {
        var connection = new NpgsqlConnection(server.Connection(DatabaseServer.SourceDatabase) + ";Pooling=false");
        await connection.OpenAsync(cancel);
        await Run(connection, "SET synchronous_commit = off", cancel);
        return connection;
    }

    private static async Task<Goal> Append(NpgsqlConnection connection, Table table, Step step, CancellationToken cancel)
    {
        // Each procedure commits by itself, so it must come to the server alone.
        foreach (var call in step.Sql.Split("; "))
            await Run(connection, call, cancel);
        await using var position = new NpgsqlCommand("SELECT pg_current_wal_insert_lsn()::text", connection);
        var end = (string)(await position.ExecuteScalarAsync(cancel))!;
        return new Goal(table.Name, step.Changes, step.Deletes, step.Transactions, end);
    }

    private static async Task Run(NpgsqlConnection connection, string sql, CancellationToken cancel)
    {
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        await command.ExecuteNonQueryAsync(cancel);
    }
}
