using CdcOrleans.Model.Storage;
using Npgsql;

namespace CdcOrleans.Storage.Postgres;

/// <summary>Keeps which sinks are paused, and counts what is stored for each sink.</summary>
/// <param name="control">The pool of the pipeline.</param>
/// <param name="queries">The pool for questions.</param>
internal sealed class PostgresSinkStore(NpgsqlDataSource control, NpgsqlDataSource queries) : ISinkStore
{
    public async Task<IReadOnlyList<SinkPause>> Paused(CancellationToken cancellation)
    {
        await using var command = control.CreateCommand("SELECT sink, who, since FROM cdc.paused_sinks");
        return await PostgresDeadLetters.Read(command, Pause, cancellation);
    }

    public Task<(SinkPause Pause, bool IsNew)> Pause(string sink, string who, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        // Somebody else may pause or resume it at the same time. Then the first statement adds nothing, and the second finds nothing.
        while (true)
        {
            await using var add = queries.CreateCommand(
                "INSERT INTO cdc.paused_sinks (sink, who) VALUES ($1, $2) ON CONFLICT (sink) DO NOTHING RETURNING sink, who, since");
            add.Parameters.Add(SqlValues.Text(sink));
            add.Parameters.Add(SqlValues.Text(StoredText.Words(who)));
            if (await PostgresDeadLetters.Read(add, Pause, cancellation) is [var added])
                return (added, true);
            await using var find = queries.CreateCommand("SELECT sink, who, since FROM cdc.paused_sinks WHERE sink = $1");
            find.Parameters.Add(SqlValues.Text(sink));
            if (await PostgresDeadLetters.Read(find, Pause, cancellation) is [var found])
                return (found, false);
        }
    });

    public Task<SinkPause?> Resume(string sink, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand("DELETE FROM cdc.paused_sinks WHERE sink = $1 RETURNING sink, who, since");
        command.Parameters.Add(SqlValues.Text(sink));
        return (await PostgresDeadLetters.Read(command, Pause, cancellation)).SingleOrDefault();
    });

    public Task<IReadOnlyList<SinkBacklog>> Backlogs(CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand(
            """
            SELECT source, sink, table_name, sum(letters)::bigint, sum(events)::bigint, sum(bytes)::bigint, min(oldest) FROM (
                SELECT source, sink, table_name, count(*) AS letters, 0 AS events, 0 AS bytes, NULL::timestamptz AS oldest
                FROM cdc.dead_letters GROUP BY source, sink, table_name
                UNION ALL
                SELECT source, sink, table_name, 0, sum(events), sum(bytes), min(first_tried_at)
                FROM cdc.parked_entities WHERE events > 0 GROUP BY source, sink, table_name) AS stored
            GROUP BY source, sink, table_name
            """);
        return await PostgresDeadLetters.Read(
            command,
            reader => new SinkBacklog(
                reader.GetString(0), reader.GetString(1), reader.GetString(2), reader.GetInt64(3), reader.GetInt64(4), reader.GetInt64(5),
                reader.IsDBNull(6) ? null : reader.GetFieldValue<DateTimeOffset>(6)),
            cancellation);
    });

    private static SinkPause Pause(NpgsqlDataReader reader) => new(reader.GetString(0), reader.GetString(1), reader.GetFieldValue<DateTimeOffset>(2));
}
