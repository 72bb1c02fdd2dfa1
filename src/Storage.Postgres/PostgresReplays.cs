using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Storage;
using Npgsql;

namespace CdcOrleans.Storage.Postgres;

/// <summary>Replays in the control database.</summary>
internal sealed class PostgresReplays(NpgsqlDataSource queries, ISchemaStore schemas) : IReplayStore
{
    /// <summary>Up to so many rows are counted one by one; for more, the planner's estimate is good enough.</summary>
    private const int MostCounted = 200_000;

    /// <summary>How long replays that have ended are kept, until another one is started.</summary>
    public const int DaysKept = 90;

    private const string Columns =
        "id, source, sink, rows_from, patterns, rate, state, error, waiting, speed, who, run, created_at, updated_at, ended_at, since_micros, until_micros, since_lsn, until_lsn";

    private readonly StoredStates _states = new(queries, schemas);
    private readonly PostgresSchemaStore _tables = new(queries);

    public Task<(StoredReplay Replay, bool IsNew)> Add(StoredReplay replay, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        while (true)
        {
            if (await Conflicting(replay, cancellation) is { } other)
                return (other, false);
            try
            {
                return ((await Get(await Insert(replay, cancellation), cancellation))!, true);
            }
            catch (PostgresException exists) when (exists.SqlState == PostgresErrorCodes.UniqueViolation)
            {
                // Another one was added at the same time. It may have ended meanwhile.
            }
        }
    });

    public Task<IReadOnlyList<StoredReplay>> List(long before, int limit, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand($"SELECT {Columns} FROM cdc.replays WHERE $1 = 0 OR id < $1 ORDER BY id DESC LIMIT $2");
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = before });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit });
        return await Read(command, cancellation);
    });

    public Task<StoredReplay?> Get(long id, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand($"SELECT {Columns} FROM cdc.replays WHERE id = $1");
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = id });
        return await Read(command, cancellation) is [var found] ? found : null;
    });

    public Task<IReadOnlyList<long>> Running(CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand("SELECT id FROM cdc.replays WHERE state = 'running' ORDER BY id");
        return await PostgresDeadLetters.Read(command, reader => reader.GetInt64(0), cancellation);
    });

    public Task<bool> Change(long id, IReadOnlyCollection<ReplayState> from, ReplayState to, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand(
            """
            WITH changed AS (
                UPDATE cdc.replays SET state = $3, waiting = NULL, speed = 0, updated_at = now(), ended_at = CASE WHEN $4 THEN NULL ELSE now() END
                WHERE id = $1 AND state = ANY ($2) RETURNING id),
            closed AS (UPDATE cdc.replay_tables AS t SET is_open = $4 FROM changed WHERE t.replay_id = changed.id AND t.is_open <> $4)
            SELECT count(*) FROM changed
            """);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = id });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. from.Select(StoredWords.Of)] });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = StoredWords.Of(to) });
        command.Parameters.Add(new NpgsqlParameter<bool> { TypedValue = to is ReplayState.Running or ReplayState.Paused });
        return (long)(await command.ExecuteScalarAsync(cancellation))! > 0;
    });

    public Task<StoredReplay?> Begin(long id, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand(
            $"UPDATE cdc.replays SET run = run + 1, waiting = NULL, updated_at = now() WHERE id = $1 AND state = 'running' RETURNING {Columns}");
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = id });
        return await Read(command, cancellation) is [var begun] ? begun : null;
    });

    public Task<ReplayState?> Save(StoredReplay replay, ReplayTable table, string? waiting, double speed, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand(
            """
            WITH owned AS (
                UPDATE cdc.replays SET
                    waiting = CASE WHEN state = 'running' THEN $4 END, speed = CASE WHEN state = 'running' THEN $5 ELSE 0 END, updated_at = now()
                WHERE id = $1 AND run = $2 RETURNING id, state),
            progress AS (
                UPDATE cdc.replay_tables AS t SET
                    is_begun = $6, after_key = $7, is_done = $8, rows_done = $9, sent = $10, absent = $11, without_row = $12, parked = $13, refused = $14
                FROM owned WHERE t.replay_id = owned.id AND t.place = $3)
            SELECT state FROM owned
            """);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = replay.Id });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = replay.Run });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = table.Place });
        command.Parameters.Add(new NpgsqlParameter<string?> { TypedValue = waiting is null ? null : StoredText.Words(waiting) });
        command.Parameters.Add(new NpgsqlParameter<double> { TypedValue = speed });
        command.Parameters.Add(new NpgsqlParameter<bool> { TypedValue = table.IsBegun });
        command.Parameters.Add(new NpgsqlParameter<string?> { TypedValue = table.After });
        command.Parameters.Add(new NpgsqlParameter<bool> { TypedValue = table.IsDone });
        foreach (var count in (long[])[table.RowsDone, table.Sent, table.Absent, table.WithoutRow, table.Parked, table.Refused])
            command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = count });
        return await command.ExecuteScalarAsync(cancellation) is string state ? StoredWords.Read<ReplayState>(state) : (ReplayState?)null;
    });

    public Task End(StoredReplay replay, string? error, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand(
            """
            WITH ended AS (
                UPDATE cdc.replays SET state = $3, error = $4, waiting = NULL, speed = 0, updated_at = now(), ended_at = now()
                WHERE id = $1 AND run = $2 AND state = 'running' RETURNING id)
            UPDATE cdc.replay_tables AS t SET is_open = false FROM ended WHERE t.replay_id = ended.id
            """);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = replay.Id });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = replay.Run });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = StoredWords.Of(error is null ? ReplayState.Done : ReplayState.Failed) });
        command.Parameters.Add(new NpgsqlParameter<string?> { TypedValue = error is null ? null : StoredText.Words(error) });
        return await command.ExecuteNonQueryAsync(cancellation);
    });

    public Task<IReadOnlyList<string>> Tables(string source, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand("""SELECT name FROM cdc.tables WHERE source = $1 ORDER BY name COLLATE "C" """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = source });
        return await PostgresDeadLetters.Read(command, reader => reader.GetString(0), cancellation);
    });

    public Task<long> Estimate(string source, string table, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        if (await _tables.FindTable(source, table, cancellation) is not { } tableId)
            return 0;
        await using (var command = queries.CreateCommand("SELECT count(*) FROM (SELECT FROM cdc.entity_states WHERE table_id = $1 AND NOT deleted LIMIT $2) AS counted"))
        {
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = tableId });
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = MostCounted + 1 });
            if ((long)(await command.ExecuteScalarAsync(cancellation))! is var count and <= MostCounted)
                return count;
        }

        // A number, so it may be part of the statement: EXPLAIN has no parameters.
        await using var explain = queries.CreateCommand($"EXPLAIN (FORMAT JSON) SELECT FROM cdc.entity_states WHERE table_id = {tableId} AND NOT deleted");
        using var plan = System.Text.Json.JsonDocument.Parse((string)(await explain.ExecuteScalarAsync(cancellation))!);
        return Math.Max(MostCounted + 1, (long)plan.RootElement[0].GetProperty("Plan").GetProperty("Plan Rows").GetDouble());
    });

    public Task<HeldKeys> ReadKeys(string source, string table, string? after, int most, CancellationToken cancellation) =>
        ReadKeys(page => page, source, table, after, most, cancellation);

    // Goes from column to column of the rows that may lack values, as RowImage has them, so that no rows come over the connection. An array,
    // because the planner overestimates joins of recursive queries, and the server would compile each page for half a second.
    public Task<HeldKeys> ReadIncomplete(string source, string table, string? after, int most, CancellationToken cancellation) => ReadKeys(
        page => $"""
            WITH RECURSIVE page AS MATERIALIZED ({page.Replace("deleted", "deleted, \"row\"", StringComparison.Ordinal)}),
            places AS (
                SELECT key, "row", 2 AS place FROM page WHERE NOT deleted AND position('u'::bytea IN "row") > 0
                UNION ALL
                SELECT key, "row", place + CASE get_byte("row", place) WHEN ascii('t') THEN
                    5 + (get_byte("row", place + 1) << 24) + (get_byte("row", place + 2) << 16) + (get_byte("row", place + 3) << 8) + get_byte("row", place + 4) ELSE 1 END
                FROM places WHERE place < octet_length("row") AND get_byte("row", place) <> ascii('u'))
            SELECT key, key <> ALL (ARRAY(SELECT key FROM places WHERE place < octet_length("row") AND get_byte("row", place) = ascii('u')))
            FROM page ORDER BY key
            """,
        source, table, after, most, cancellation);

    // The statement answers the keys of a page, and of each whether it is left out.
    private Task<HeldKeys> ReadKeys(Func<string, string> statement, string source, string table, string? after, int most, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        if (await _tables.FindTable(source, table, cancellation) is not { } tableId)
            return new HeldKeys([], 0, null);
        await using var command = queries.CreateCommand(
            statement($"SELECT key, deleted FROM cdc.entity_states WHERE table_id = $1{(after is null ? "" : " AND key > $3")} ORDER BY key LIMIT $2"));
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = tableId });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = most });
        if (after is not null)
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = after });
        var stored = await PostgresDeadLetters.Read(command, reader => (Key: reader.GetString(0), IsDeleted: reader.GetBoolean(1)), cancellation);
        var keys = new List<string>(stored.Count);
        var unknown = 0;
        foreach (var (key, _) in stored.Where(s => !s.IsDeleted))
        {
            if (!StoredText.IsShortened(key))
                keys.Add(key);
            else if (await KeyOfRow(tableId, key, cancellation) is { } whole)
                keys.Add(whole);
            else
                unknown++;
        }

        return new HeldKeys(keys, unknown, stored.Count > 0 ? stored[^1].Key : null);
    });

    // A long key is stored with its beginning and its hash only. The row has it whole.
    private async Task<string?> KeyOfRow(int tableId, string stored, CancellationToken cancellation)
    {
        if ((await _states.Read([new StateKey(tableId, stored)], cancellation))[0] is not { Row.IsPresent: true } state)
            return null;
        var columns = new List<string?>();
        foreach (var column in state.Row)
            columns.Add(column.Kind == ColumnKind.Text ? System.Text.Encoding.UTF8.GetString(column.Text) : null);
        var key = EntityKeyText.Join([.. state.Table.Key.Select(k => columns[k])]);
        return StoredText.Key(key) == stored ? key : null;
    }

    private async Task<long> Insert(StoredReplay replay, CancellationToken cancellation)
    {
        await using var connection = await queries.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        long id;
        await using (var command = new NpgsqlCommand(
            """
            INSERT INTO cdc.replays (source, sink, rows_from, patterns, rate, state, who, since_micros, until_micros, since_lsn, until_lsn)
            VALUES ($1, $2, $3, $4, $5, 'running', $6, $7, $8, $9, $10) RETURNING id
            """, connection, transaction))
        {
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = replay.Source });
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = replay.Sink });
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = replay.From });
            command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. replay.Patterns] });
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = replay.Rate });
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = replay.Who });
            PostgresJournal.Add(command, replay.Window);
            id = (long)(await command.ExecuteScalarAsync(cancellation))!;
        }

        // In the order of the names, so that two replays at once wait for each other and do not cause a deadlock.
        foreach (var table in replay.Tables.OrderBy(t => t.Table, StringComparer.Ordinal))
        {
            await using var command = new NpgsqlCommand(
                "INSERT INTO cdc.replay_tables (replay_id, place, source, sink, table_name, keys, rows_total) VALUES ($1, $2, $3, $4, $5, $6, $7)", connection, transaction);
            command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = id });
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = table.Place });
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = replay.Source });
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = replay.Sink });
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = table.Table });
            command.Parameters.Add(new NpgsqlParameter<string[]?> { TypedValue = table.Keys is { } keys ? [.. keys] : null });
            command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = table.RowsTotal });
            await command.ExecuteNonQueryAsync(cancellation);
        }

        await using (var old = new NpgsqlCommand($"DELETE FROM cdc.replays WHERE ended_at < now() - interval '{DaysKept} days'", connection, transaction))
            await old.ExecuteNonQueryAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        return id;
    }

    private async Task<StoredReplay?> Conflicting(StoredReplay replay, CancellationToken cancellation)
    {
        await using var command = queries.CreateCommand(
            $"""
            SELECT {Columns} FROM cdc.replays WHERE id = (
                SELECT min(replay_id) FROM cdc.replay_tables WHERE is_open AND source = $1 AND sink = $2 AND table_name = ANY ($3))
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = replay.Source });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = replay.Sink });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. replay.Tables.Select(t => t.Table)] });
        return await Read(command, cancellation) is [var found] ? found : null;
    }

    private async Task<IReadOnlyList<StoredReplay>> Read(NpgsqlCommand command, CancellationToken cancellation)
    {
        var replays = await PostgresDeadLetters.Read(
            command,
            reader => new StoredReplay
            {
                Id = reader.GetInt64(0),
                Source = reader.GetString(1),
                Sink = reader.GetString(2),
                From = reader.GetString(3),
                Patterns = reader.GetFieldValue<string[]>(4),
                Rate = reader.GetInt32(5),
                State = StoredWords.Read<ReplayState>(reader.GetString(6)),
                Error = reader.IsDBNull(7) ? null : reader.GetString(7),
                Waiting = reader.IsDBNull(8) ? null : reader.GetString(8),
                Speed = reader.GetDouble(9),
                Who = reader.GetString(10),
                Run = reader.GetInt64(11),
                CreatedAt = reader.GetFieldValue<DateTimeOffset>(12),
                UpdatedAt = reader.GetFieldValue<DateTimeOffset>(13),
                EndedAt = reader.IsDBNull(14) ? null : reader.GetFieldValue<DateTimeOffset>(14),
                Window = new JournalWindow { SinceTime = Time(reader, 15), UntilTime = Time(reader, 16), SinceLsn = Position(reader, 17), UntilLsn = Position(reader, 18) },
                Tables = [],
            },
            cancellation);
        if (replays.Count == 0)
            return replays;
        await using var tables = queries.CreateCommand(
            """
            SELECT replay_id, place, table_name, keys, rows_total, is_begun, after_key, is_done, rows_done, sent, absent, without_row, parked, refused
            FROM cdc.replay_tables WHERE replay_id = ANY ($1) ORDER BY replay_id, place
            """);
        tables.Parameters.Add(new NpgsqlParameter<long[]> { TypedValue = [.. replays.Select(r => r.Id)] });
        var all = (await PostgresDeadLetters.Read(
            tables,
            reader => (Replay: reader.GetInt64(0), Table: new ReplayTable
            {
                Place = reader.GetInt32(1),
                Table = reader.GetString(2),
                Keys = reader.IsDBNull(3) ? null : reader.GetFieldValue<string[]>(3),
                RowsTotal = reader.GetInt64(4),
                IsBegun = reader.GetBoolean(5),
                After = reader.IsDBNull(6) ? null : reader.GetString(6),
                IsDone = reader.GetBoolean(7),
                RowsDone = reader.GetInt64(8),
                Sent = reader.GetInt64(9),
                Absent = reader.GetInt64(10),
                WithoutRow = reader.GetInt64(11),
                Parked = reader.GetInt64(12),
                Refused = reader.GetInt64(13),
            }),
            cancellation)).ToLookup(t => t.Replay, t => t.Table);
        return [.. replays.Select(r => r with { Tables = [.. all[r.Id]] })];
    }

    private static DateTimeOffset? Time(NpgsqlDataReader reader, int column) =>
        reader.IsDBNull(column) ? null : DateTimeOffset.UnixEpoch.AddMicroseconds(reader.GetInt64(column));

    private static Lsn? Position(NpgsqlDataReader reader, int column) => reader.IsDBNull(column) ? null : new Lsn((ulong)reader.GetInt64(column));
}
