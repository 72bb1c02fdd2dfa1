using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Storage;
using Npgsql;

namespace CdcOrleans.Storage.Postgres;

/// <summary>Backfills and the snapshots of their chunks in the control database.</summary>
internal sealed partial class PostgresBackfills(NpgsqlDataSource queries) : IBackfillStore
{
    public Task<(StoredBackfill Backfill, bool IsNew)> Add(StoredBackfill backfill, CancellationToken cancellation)
    {
        if (backfill.Tables.Select(t => t.Table).Distinct(StringComparer.Ordinal).Count() < backfill.Tables.Count)
            throw new ArgumentException("A backfill cannot have a table twice.", nameof(backfill));
        return QueryGuard.Run(async () =>
        {
            while (true)
            {
                if (await Conflicting(backfill, cancellation) is { } other)
                    return (other, false);
                try
                {
                    return ((await Get(await Insert(backfill, cancellation), cancellation))!, true);
                }
                catch (PostgresException exists) when (exists is { SqlState: PostgresErrorCodes.UniqueViolation, ConstraintName: "backfill_tables_open" })
                {
                    // Another one was added at the same time. It may have ended meanwhile.
                }
            }
        });
    }

    public Task<IReadOnlyList<string>> WithoutInitial(string source, IReadOnlyList<string> tables, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand(
            """
            SELECT given.name FROM unnest($2) WITH ORDINALITY AS given (name, place)
            WHERE NOT EXISTS (SELECT FROM cdc.initial_backfills AS i WHERE i.source = $1 AND i.table_name = given.name)
            ORDER BY given.place
            """);
        command.Parameters.Add(SqlValues.Text(source));
        command.Parameters.Add(SqlValues.Texts(tables, t => t));
        return await PostgresDeadLetters.Read(command, reader => reader.GetString(0), cancellation);
    });

    public Task<IReadOnlyList<string>> AfterGap(string source, IReadOnlyList<string> tables, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand(
            """
            SELECT given.name FROM unnest($2) WITH ORDINALITY AS given (name, place)
            JOIN cdc.initial_backfills AS i ON i.source = $1 AND i.table_name = given.name AND i.after_gap
            ORDER BY given.place
            """);
        command.Parameters.Add(SqlValues.Text(source));
        command.Parameters.Add(SqlValues.Texts(tables, t => t));
        return await PostgresDeadLetters.Read(command, reader => reader.GetString(0), cancellation);
    });

    public Task<IReadOnlyList<StoredBackfill>> List(long before, int limit, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand($"SELECT {Columns} FROM cdc.backfills WHERE $1 = 0 OR id < $1 ORDER BY id DESC LIMIT $2");
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = before });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit });
        return await Read(command, cancellation);
    });

    public Task<StoredBackfill?> Get(long id, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand($"SELECT {Columns} FROM cdc.backfills WHERE id = $1");
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = id });
        return await Read(command, cancellation) is [var found] ? found : null;
    });

    public Task<IReadOnlyList<long>> Running(CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand("SELECT id FROM cdc.backfills WHERE state = 'running' ORDER BY id");
        return await PostgresDeadLetters.Read(command, reader => reader.GetInt64(0), cancellation);
    });

    public Task<IReadOnlyList<long>> Ahead(StoredBackfill backfill, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand(
            """
            SELECT id FROM cdc.backfills AS b WHERE source = $1 AND state = 'running' AND id < $2
              AND EXISTS (SELECT FROM cdc.backfill_tables AS t WHERE t.backfill_id = b.id AND t.keys IS NULL)
            ORDER BY id
            """);
        command.Parameters.Add(SqlValues.Text(backfill.Source));
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = backfill.Id });
        return await PostgresDeadLetters.Read(command, reader => reader.GetInt64(0), cancellation);
    });

    public Task<bool> Change(long id, IReadOnlyCollection<BackfillState> from, BackfillState to, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand(
            """
            WITH changed AS (
                UPDATE cdc.backfills SET state = $3, waiting = NULL, speed = 0, updated_at = now(), ended_at = CASE WHEN $4 THEN NULL ELSE now() END
                WHERE id = $1 AND state = ANY ($2) RETURNING id),
            closed AS (UPDATE cdc.backfill_tables AS t SET is_open = $4 FROM changed WHERE t.backfill_id = changed.id AND t.is_open <> $4)
            SELECT count(*) FROM changed
            """);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = id });
        command.Parameters.Add(SqlValues.Texts([.. from], StoredWords.Of));
        command.Parameters.Add(SqlValues.Text(StoredWords.Of(to)));
        command.Parameters.Add(new NpgsqlParameter<bool> { TypedValue = to is BackfillState.Running or BackfillState.Paused });
        return (long)(await command.ExecuteScalarAsync(cancellation))! > 0;
    });

    public Task<StoredBackfill?> Begin(long id, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand(
            $"UPDATE cdc.backfills SET run = run + 1, waiting = NULL, updated_at = now() WHERE id = $1 AND state = 'running' RETURNING {Columns}");
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = id });
        return await Read(command, cancellation) is [var begun] ? begun : null;
    });

    public Task<BackfillState?> Save(StoredBackfill backfill, BackfillTable table, string? waiting, double speed, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand(
            $"""
            WITH owned AS (
                UPDATE cdc.backfills SET
                    waiting = CASE WHEN state = 'running' THEN $4 END, speed = CASE WHEN state = 'running' THEN $5 ELSE 0 END, updated_at = now()
                WHERE id = $1 AND run = $2 RETURNING id, state),
            progress AS (
                UPDATE cdc.backfill_tables AS t SET
                    ({ProgressColumns}) = ($6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
                FROM owned WHERE t.backfill_id = owned.id AND t.place = $3)
            SELECT state FROM owned
            """);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = backfill.Id });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = backfill.Run });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = table.Place });
        command.Parameters.Add(new NpgsqlParameter<string?> { TypedValue = waiting is null ? null : StoredText.Words(waiting) });
        command.Parameters.Add(new NpgsqlParameter<double> { TypedValue = speed });
        foreach (var value in Progress(table))
            command.Parameters.Add(value);
        return await command.ExecuteScalarAsync(cancellation) is string state ? StoredWords.Read<BackfillState>(state) : (BackfillState?)null;
    });

    public Task End(StoredBackfill backfill, string? error, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand(
            """
            WITH ended AS (
                UPDATE cdc.backfills SET state = $3, error = $4, waiting = NULL, speed = 0, updated_at = now(), ended_at = now()
                WHERE id = $1 AND run = $2 AND state = 'running' RETURNING id)
            UPDATE cdc.backfill_tables AS t SET is_open = false FROM ended WHERE t.backfill_id = ended.id
            """);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = backfill.Id });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = backfill.Run });
        command.Parameters.Add(SqlValues.Text(StoredWords.Of(error is null ? BackfillState.Done : BackfillState.Failed)));
        command.Parameters.Add(new NpgsqlParameter<string?> { TypedValue = error is null ? null : StoredText.Words(error) });
        return await command.ExecuteNonQueryAsync(cancellation);
    });

    public Task<long> AddChunk(string source, ChunkSnapshot snapshot, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand("SELECT cdc.add_backfill_chunk($1, $2, $3)");
        command.Parameters.Add(SqlValues.Text(source));
        command.Parameters.Add(SqlValues.Text(snapshot.Snapshot.ToString()));
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = SqlValues.Stored(snapshot.Fence) });
        return (long)(await command.ExecuteScalarAsync(cancellation))!;
    });

    public Task<Lsn> Fence(string source, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand("SELECT fence FROM cdc.backfill_fences WHERE source = $1");
        command.Parameters.Add(SqlValues.Text(source));
        return await command.ExecuteScalarAsync(cancellation) is long fence ? new Lsn((ulong)fence) : Lsn.None;
    });

    public Task<bool> HasStates(int table, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand("SELECT EXISTS (SELECT FROM cdc.entity_states WHERE table_id = $1)");
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = table });
        return (bool)(await command.ExecuteScalarAsync(cancellation))!;
    });

    private async Task<StoredBackfill?> Conflicting(StoredBackfill backfill, CancellationToken cancellation)
    {
        await using var command = queries.CreateCommand(
            $"""
            SELECT {Columns} FROM cdc.backfills WHERE id = (
                SELECT min(backfill_id) FROM cdc.backfill_tables WHERE is_open AND source = $1 AND table_name = ANY ($2))
            """);
        command.Parameters.Add(SqlValues.Text(backfill.Source));
        command.Parameters.Add(SqlValues.Texts(backfill.Tables, t => t.Table));
        return await Read(command, cancellation) is [var found] ? found : null;
    }
}
