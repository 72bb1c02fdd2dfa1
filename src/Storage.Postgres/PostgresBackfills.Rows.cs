using CdcOrleans.Model.Storage;
using Npgsql;

namespace CdcOrleans.Storage.Postgres;

/// <summary>The rows of backfills and their tables: how they are written and read.</summary>
internal sealed partial class PostgresBackfills
{
    private const string Columns = "id, source, kind, patterns, rate, state, error, waiting, speed, who, run, created_at, updated_at, ended_at";

    /// <summary>What <see cref="Progress"/> has, in its order.</summary>
    private const string ProgressColumns =
        "relation_oid, rows_total, read_to, is_read, swept_to, again, is_done, rows_done, sent, unchanged, created, updated, deleted, parked, refused, error";

    private async Task<long> Insert(StoredBackfill backfill, CancellationToken cancellation)
    {
        await using var connection = await queries.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        long id;
        await using (var command = new NpgsqlCommand(
            "INSERT INTO cdc.backfills (source, kind, patterns, rate, state, who) VALUES ($1, $2, $3, $4, 'running', $5) RETURNING id", connection, transaction))
        {
            command.Parameters.Add(SqlValues.Text(backfill.Source));
            command.Parameters.Add(SqlValues.Text(StoredWords.Of(backfill.Kind)));
            command.Parameters.Add(SqlValues.Texts(backfill.Patterns, p => p));
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = backfill.Rate });
            command.Parameters.Add(SqlValues.Text(backfill.Who));
            id = (long)(await command.ExecuteScalarAsync(cancellation))!;
        }

        await using (var batch = new NpgsqlBatch(connection, transaction))
        {
            // In the order of the names, so that two backfills at once wait for each other and do not cause a deadlock.
            var tables = backfill.Tables.OrderBy(t => t.Table, StringComparer.Ordinal).ToList();
            foreach (var table in tables)
                batch.BatchCommands.Add(Insert(id, backfill.Source, table));
            if (backfill.Kind == BackfillKind.Initial)
            {
                batch.BatchCommands.Add(SqlValues.Statement(
                    "INSERT INTO cdc.initial_backfills (source, table_name) SELECT $1, given.name FROM unnest($2) AS given (name) ON CONFLICT DO NOTHING",
                    SqlValues.Text(backfill.Source), SqlValues.Texts(tables, t => t.Table)));
            }

            if (backfill.Kind == BackfillKind.Repair)
            {
                batch.BatchCommands.Add(SqlValues.Statement(
                    "UPDATE cdc.initial_backfills SET after_gap = false WHERE source = $1 AND table_name = ANY ($2) AND after_gap",
                    SqlValues.Text(backfill.Source), SqlValues.Texts([.. tables.Where(t => t is { Keys: null, Where: null })], t => t.Table)));
            }

            batch.BatchCommands.Add(SqlValues.Statement($"DELETE FROM cdc.backfills WHERE ended_at < now() - interval '{PostgresReplays.DaysKept} days'"));
            await batch.ExecuteNonQueryAsync(cancellation);
        }

        await transaction.CommitAsync(cancellation);
        return id;
    }

    private static NpgsqlBatchCommand Insert(long id, string source, BackfillTable table) => SqlValues.Statement(
        $"""
        INSERT INTO cdc.backfill_tables (backfill_id, place, source, table_name, filter, column_names, keys, {ProgressColumns})
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)
        """,
        [
            new NpgsqlParameter<long> { TypedValue = id }, new NpgsqlParameter<int> { TypedValue = table.Place }, SqlValues.Text(source), SqlValues.Text(table.Table),
            new NpgsqlParameter<string?> { TypedValue = table.Where }, Texts(table.Columns), Texts(table.Keys), .. Progress(table),
        ]);

    private static IEnumerable<NpgsqlParameter> Progress(BackfillTable table)
    {
        yield return new NpgsqlParameter<long> { TypedValue = table.Relation };
        yield return new NpgsqlParameter<long> { TypedValue = table.RowsTotal };
        yield return new NpgsqlParameter<string?> { TypedValue = table.After };
        yield return new NpgsqlParameter<bool> { TypedValue = table.IsRead };
        yield return new NpgsqlParameter<string?> { TypedValue = table.SweptTo };
        yield return Texts(table.Again);
        yield return new NpgsqlParameter<bool> { TypedValue = table.IsDone };
        foreach (var count in (long[])[table.RowsDone, table.Sent, table.Unchanged, table.Created, table.Updated, table.Deleted, table.Parked, table.Refused])
            yield return new NpgsqlParameter<long> { TypedValue = count };
        yield return new NpgsqlParameter<string?> { TypedValue = table.Error is null ? null : StoredText.Words(table.Error) };
    }

    private static NpgsqlParameter<string[]?> Texts(IReadOnlyList<string>? texts) => new() { TypedValue = texts is null ? null : [.. texts] };

    private async Task<IReadOnlyList<StoredBackfill>> Read(NpgsqlCommand command, CancellationToken cancellation)
    {
        var backfills = await PostgresDeadLetters.Read(
            command,
            reader => new StoredBackfill
            {
                Id = reader.GetInt64(0),
                Source = reader.GetString(1),
                Kind = StoredWords.Read<BackfillKind>(reader.GetString(2)),
                Patterns = reader.GetFieldValue<string[]>(3),
                Rate = reader.GetInt32(4),
                State = StoredWords.Read<BackfillState>(reader.GetString(5)),
                Error = Text(reader, 6),
                Waiting = Text(reader, 7),
                Speed = reader.GetDouble(8),
                Who = reader.GetString(9),
                Run = reader.GetInt64(10),
                CreatedAt = reader.GetFieldValue<DateTimeOffset>(11),
                UpdatedAt = reader.GetFieldValue<DateTimeOffset>(12),
                EndedAt = reader.IsDBNull(13) ? null : reader.GetFieldValue<DateTimeOffset>(13),
                Tables = [],
            },
            cancellation);
        if (backfills.Count == 0)
            return backfills;
        await using var tables = queries.CreateCommand(
            $"""
            SELECT backfill_id, place, table_name, filter, column_names, keys, {ProgressColumns}
            FROM cdc.backfill_tables WHERE backfill_id = ANY ($1) ORDER BY backfill_id, place
            """);
        tables.Parameters.Add(SqlValues.Bigints(backfills, b => b.Id));
        var all = (await PostgresDeadLetters.Read(tables, reader => (Backfill: reader.GetInt64(0), Table: Table(reader)), cancellation))
            .ToLookup(t => t.Backfill, t => t.Table);
        return [.. backfills.Select(b => b with { Tables = [.. all[b.Id]] })];
    }

    private static BackfillTable Table(NpgsqlDataReader reader) => new()
    {
        Place = reader.GetInt32(1),
        Table = reader.GetString(2),
        Where = Text(reader, 3),
        Columns = reader.IsDBNull(4) ? null : reader.GetFieldValue<string[]>(4),
        Keys = reader.IsDBNull(5) ? null : reader.GetFieldValue<string[]>(5),
        Relation = (uint)reader.GetInt64(6),
        RowsTotal = reader.GetInt64(7),
        After = Text(reader, 8),
        IsRead = reader.GetBoolean(9),
        SweptTo = Text(reader, 10),
        Again = reader.GetFieldValue<string[]>(11),
        IsDone = reader.GetBoolean(12),
        RowsDone = reader.GetInt64(13),
        Sent = reader.GetInt64(14),
        Unchanged = reader.GetInt64(15),
        Created = reader.GetInt64(16),
        Updated = reader.GetInt64(17),
        Deleted = reader.GetInt64(18),
        Parked = reader.GetInt64(19),
        Refused = reader.GetInt64(20),
        Error = Text(reader, 21),
    };

    private static string? Text(NpgsqlDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetString(column);
}
