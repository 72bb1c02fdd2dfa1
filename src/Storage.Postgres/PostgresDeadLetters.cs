using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;
using Npgsql;

namespace CdcOrleans.Storage.Postgres;

/// <summary>Reads dead letters, and records decisions about them.</summary>
internal sealed class PostgresDeadLetters(NpgsqlDataSource queries) : IDeadLetterStore
{
    private const string SummaryColumns =
        """
        id, source, sink, table_name, entity_key, commit_lsn, ordinal, part, topic, has_event, schema_version, origin, attempts,
        first_failed_at, failed_at, error, fingerprint, coalesce(octet_length(event_key), 0)::bigint + coalesce(octet_length(event_value), 0), redelivering
        """;

    private const string EventColumns = "event_key, event_value, headers";

    // A claim counts while the partition has the generation of who claimed.
    private const string IsFree = "NOT redelivering AND (claim IS NULL OR claim < $3)";

    public Task<IReadOnlyList<LetterSummary>> List(LetterFilter filter, long after, int limit, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand();
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = after });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit });
        command.CommandText = $"SELECT {SummaryColumns} FROM cdc.dead_letters WHERE id > $1{LetterConditions.Add(command, filter, withFingerprint: true)} ORDER BY id LIMIT $2";
        return await Read(command, Summary, cancellation);
    });

    public Task<StoredLetter?> Get(long id, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand(
            $"""
            SELECT {SummaryColumns}, CASE WHEN is_shown THEN event_key END, CASE WHEN is_shown THEN event_value END, headers
            FROM (
                SELECT *, coalesce(octet_length(event_key), 0)::bigint + coalesce(octet_length(event_value), 0) <= $2 AS is_shown
                FROM cdc.dead_letters WHERE id = $1) AS letter
            """);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = id });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = StoredLetter.MostShown });
        return await Read(command, Whole, cancellation) is [var letter] ? letter : null;
    });

    public Task<IReadOnlyList<LetterGroup>> Groups(LetterFilter filter, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand();
        var conditions = LetterConditions.Add(command, filter, withFingerprint: true);
        command.CommandText =
            $"""
            SELECT found.fingerprint, found.source, found.sink, found.table_name, newest.error, found.letters, found.first_failed_at, found.failed_at
            FROM (
                SELECT fingerprint, source, sink, table_name, count(*) AS letters, min(first_failed_at) AS first_failed_at, max(failed_at) AS failed_at, max(id) AS newest
                FROM cdc.dead_letters WHERE true{conditions}
                GROUP BY fingerprint, source, sink, table_name
                ORDER BY letters DESC, newest DESC LIMIT 1000) AS found
            JOIN cdc.dead_letters AS newest ON newest.id = found.newest
            ORDER BY found.letters DESC, found.newest DESC
            """;
        return await Read(
            command,
            reader => new LetterGroup
            {
                Fingerprint = reader.GetString(0),
                Source = reader.GetString(1),
                Sink = reader.GetString(2),
                Table = reader.GetString(3),
                Error = reader.GetString(4),
                Count = reader.GetInt64(5),
                FirstFailedAt = reader.GetFieldValue<DateTimeOffset>(6),
                LastFailedAt = reader.GetFieldValue<DateTimeOffset>(7),
            },
            cancellation);
    });

    public Task<IReadOnlyList<LetterSummary>> Find(IReadOnlyCollection<long> ids, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand($"SELECT {SummaryColumns} FROM cdc.dead_letters WHERE id = ANY ($1) ORDER BY id");
        command.Parameters.Add(new NpgsqlParameter<long[]> { TypedValue = [.. ids] });
        return await Read(command, Summary, cancellation);
    });

    public Task<IReadOnlyList<StoredLetter>> Claim(string source, IReadOnlyCollection<long> ids, long generation, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = Decide(
            $"UPDATE cdc.dead_letters SET claim = $3 WHERE source = $1 AND id = ANY ($2) AND {IsFree} RETURNING {SummaryColumns}, {EventColumns}", source, ids, generation);
        return await Read(command, Whole, cancellation);
    });

    public Task Release(IReadOnlyCollection<long> ids, long generation, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand("UPDATE cdc.dead_letters SET claim = NULL WHERE id = ANY ($1) AND claim = $2 AND NOT redelivering");
        command.Parameters.Add(new NpgsqlParameter<long[]> { TypedValue = [.. ids] });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = generation });
        return await command.ExecuteNonQueryAsync(cancellation);
    });

    public Task<IReadOnlyList<LetterPlace>> Discard(string source, IReadOnlyCollection<long> ids, long generation, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = Decide(
            $"DELETE FROM cdc.dead_letters WHERE source = $1 AND id = ANY ($2) AND {IsFree} RETURNING id, sink, table_name, entity_key", source, ids, generation);
        return await Read(
            command, reader => new LetterPlace(reader.GetInt64(0), reader.GetString(1), new EntityKey(reader.GetString(2), reader.GetString(3))), cancellation);
    });

    private NpgsqlCommand Decide(string text, string source, IReadOnlyCollection<long> ids, long generation)
    {
        var command = queries.CreateCommand(text);
        command.Parameters.Add(SqlValues.Text(source));
        command.Parameters.Add(new NpgsqlParameter<long[]> { TypedValue = [.. ids] });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = generation });
        return command;
    }

    private static LetterSummary Summary(NpgsqlDataReader reader) => new()
    {
        Id = reader.GetInt64(0),
        Source = reader.GetString(1),
        Sink = reader.GetString(2),
        Entity = new EntityKey(reader.GetString(3), reader.GetString(4)),
        Version = reader.GetVersion(5),
        Part = reader.GetInt32(7),
        Topic = reader.GetString(8),
        HasEvent = reader.GetBoolean(9),
        SchemaVersion = reader.GetInt32(10),
        Origin = (EventOrigin)reader.GetInt16(11),
        Attempts = reader.GetInt32(12),
        FirstFailedAt = reader.GetFieldValue<DateTimeOffset>(13),
        LastFailedAt = reader.GetFieldValue<DateTimeOffset>(14),
        Error = reader.GetString(15),
        Fingerprint = reader.GetString(16),
        Bytes = reader.GetInt64(17),
        IsRedelivering = reader.GetBoolean(18),
    };

    private static StoredLetter Whole(NpgsqlDataReader reader) => new(
        Summary(reader),
        reader.IsDBNull(19) ? null : reader.GetFieldValue<byte[]>(19),
        reader.IsDBNull(20) ? null : reader.GetFieldValue<byte[]>(20),
        StoredHeaders.Read(reader.IsDBNull(21) ? null : reader.GetString(21)));

    internal static async Task<IReadOnlyList<T>> Read<T>(NpgsqlCommand command, Func<NpgsqlDataReader, T> row, CancellationToken cancellation)
    {
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var found = new List<T>();
        while (await reader.ReadAsync(cancellation))
            found.Add(row(reader));
        return found;
    }
}
