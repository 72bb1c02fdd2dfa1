using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;
using Npgsql;

namespace CdcOrleans.Storage.Postgres;

/// <summary>Shows people what is parked, and who changed what.</summary>
internal sealed class PostgresOperations(NpgsqlDataSource queries) : IParkedQueries, IAuditStore
{
    public Task<IReadOnlyList<ParkedSummary>> List(LetterFilter filter, long after, int limit, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand();
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = after });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit });
        command.CommandText =
            $"""
            SELECT id, source, sink, table_name, entity_key, events, bytes, attempts, first_tried_at, due_at, last_error, blocked
            FROM cdc.parked_entities WHERE id > $1 AND (events > 0 OR blocked){LetterConditions.Add(command, filter, withFingerprint: false)} ORDER BY id LIMIT $2
            """;
        return await PostgresDeadLetters.Read(
            command,
            reader => new ParkedSummary
            {
                Id = reader.GetInt64(0),
                Source = reader.GetString(1),
                Sink = reader.GetString(2),
                Entity = new EntityKey(reader.GetString(3), reader.GetString(4)),
                Events = reader.GetInt32(5),
                Bytes = reader.GetInt64(6),
                Attempts = reader.GetInt32(7),
                FirstTriedAt = reader.GetFieldValue<DateTimeOffset>(8),
                DueAt = reader.GetFieldValue<DateTimeOffset>(9),
                LastError = reader.IsDBNull(10) ? null : reader.GetString(10),
                IsBlocked = reader.GetBoolean(11),
            },
            cancellation);
    });

    public Task Add(AuditEntry entry, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand("INSERT INTO cdc.audit (who, operation, arguments, result) VALUES ($1, $2, $3, $4)");
        command.Parameters.Add(SqlValues.Text(StoredText.Words(entry.Who)));
        command.Parameters.Add(SqlValues.Text(StoredText.Words(entry.Operation)));
        command.Parameters.Add(SqlValues.Text(StoredText.Words(entry.Arguments)));
        command.Parameters.Add(SqlValues.Text(StoredText.Words(entry.Result)));
        return await command.ExecuteNonQueryAsync(cancellation);
    });

    public Task<IReadOnlyList<AuditEntry>> List(long before, int limit, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand(
            "SELECT id, at, who, operation, arguments, result FROM cdc.audit WHERE $1 = 0 OR id < $1 ORDER BY id DESC LIMIT $2");
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = before });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit });
        return await PostgresDeadLetters.Read(
            command,
            reader => new AuditEntry(reader.GetInt64(0), reader.GetFieldValue<DateTimeOffset>(1), reader.GetString(2), reader.GetString(3), reader.GetString(4), reader.GetString(5)),
            cancellation);
    });
}
