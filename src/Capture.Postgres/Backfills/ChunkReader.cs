using System.Globalization;
using System.Text.Json;
using CdcOrleans.Capture.Postgres.Schemas;
using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using Microsoft.Extensions.Logging;
using Npgsql;
using NpgsqlTypes;

namespace CdcOrleans.Capture.Postgres.Backfills;

/// <summary>Reads existing rows of a PostgreSQL database in chunks.</summary>
internal sealed partial class ChunkReader : IChunkReader
{
    // Both in one statement, and the position is read after the snapshot was taken (ChunkSnapshot).
    private const string Snapshot = "SELECT pg_current_snapshot()::text, pg_current_wal_insert_lsn()::text";

    // The position first (BackfillHorizon).
    private const string Position = "SELECT pg_current_wal_insert_lsn()::text";

    private const string AssignXid = "SELECT pg_current_xact_id()::text";

    private const string Oldest = """
        SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint >= $1,
            (SELECT string_agg(format('process %s, user %s, open since %s', pid, usename, xact_start), '; ' ORDER BY xact_start)
             FROM (SELECT * FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() ORDER BY xact_start LIMIT 3) AS a),
            (SELECT string_agg(format('prepared transaction %L', gid), '; ') FROM (SELECT * FROM pg_prepared_xacts ORDER BY prepared LIMIT 3) AS p)
        """;

    private const string IsFlushed = "SELECT pg_current_wal_flush_lsn() >= $1::text::pg_lsn";

    // The commit of a transaction that has written something flushes the log. The message is not one of this source's heartbeats, so it is ignored.
    private const string Flush = "SELECT pg_logical_emit_message(false, $1, 'flush'), pg_current_xact_id()::text";

    private const string Blocks = "SELECT (pg_relation_size($1::oid) / current_setting('block_size')::bigint)::bigint";

    // Refused in filters: functions that may change something, or give another answer for each row.
    private const string Volatile = "SELECT proname::text FROM pg_proc WHERE proname = ANY ($1) AND provolatile = 'v' LIMIT 1";

    /// <summary>Time after which the server ends a transaction whose client says nothing, so that a frozen process holds back nothing.</summary>
    private const int IdleMillis = 60_000;

    /// <summary>How long a chunk waits for a lock of its table, which another session holds.</summary>
    private const int LockMillis = 5_000;

    /// <summary>Blocks that are read at once by place, 8 MB with the usual block size.</summary>
    private const int BlocksAtOnce = 1024;

    private readonly SourceConfiguration _source;
    private readonly SourceConnection _place;
    private readonly Replica? _replica;
    private readonly CaptureFailure _failure;
    private readonly NamedSchemaStore _schemas;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly NpgsqlDataSource _database;

    public ChunkReader(SourceConfiguration source, ISchemaStore schemas, TimeProvider time, ILogger logger)
    {
        _source = source;
        _schemas = new NamedSchemaStore(source, schemas);
        _time = time;
        _logger = logger;
        _place = new SourceConnection(source);
        _failure = new CaptureFailure(source, _place);
        _database = NpgsqlDataSource.Create(_place.Ordinary);
        _replica = source.BackfillReplica is { } replica ? new Replica(source, replica) : null;
    }

    public async Task<BackfillPlan> Plan(BackfillScope scope, CancellationToken cancellation)
    {
        // At the source, because a replica may not have the table yet.
        var plan = await InChunk(
            scope, new ChunkBounds(),
            async (connection, _) =>
            {
                var table = await Catalog(null).Read(connection, scope, 0, cancellation);
                var rows = await Estimate(connection, table, null, cancellation);
                if (scope.Where is { } where)
                    rows = await CheckFilter(connection, scope, table, where, cancellation);
                return new BackfillPlan(table.Table, table.Order, rows);
            },
            cancellation);
        await CheckReplica(cancellation);
        return plan;
    }

    public async Task<BackfillHorizon> TakeHorizon(CancellationToken cancellation) =>
        await Ask(
            async connection =>
            {
                var position = Lsn.Parse((string)(await Scalar(connection, Position, cancellation))!);
                var xid = (string)(await Scalar(connection, AssignXid, cancellation))!;
                return new BackfillHorizon(position, ulong.Parse(xid, CultureInfo.InvariantCulture));
            },
            null, "taking a horizon", cancellation);

    public async Task<string?> Unsettled(BackfillHorizon horizon, CancellationToken cancellation) =>
        await UnsettledAtSource(horizon, cancellation) ?? await UnsettledAtReplica(horizon, cancellation);

    private async Task<string?> UnsettledAtSource(BackfillHorizon horizon, CancellationToken cancellation) =>
        await Ask(
            async connection =>
            {
                await using var command = new NpgsqlCommand(Oldest, connection) { Parameters = { new() { Value = (long)horizon.Xid } } };
                await using var rows = await command.ExecuteReaderAsync(cancellation);
                await rows.ReadAsync(cancellation);
                if (rows.GetBoolean(0))
                    return null;
                var open = string.Join("; ", new[] { 1, 2 }.Where(c => !rows.IsDBNull(c)).Select(rows.GetString));
                return $"backfill of sources.{_source.Name} waits until the transactions that were open when it was started have ended"
                    + (open.Length == 0 ? "." : $": {open}. Wait, or end them (pg_terminate_backend for a process; COMMIT PREPARED or ROLLBACK PREPARED).");
            },
            null, "waiting for open transactions", cancellation);

    public async Task<TableChunk> Read(ChunkRequest request, CancellationToken cancellation)
    {
        if (_replica is not null)
            return await ReadAtReplica(request, cancellation);
        var chunk = await InChunk(
            request.Scope, request.Bounds,
            async (connection, snapshot) =>
            {
                if (!request.Horizon.IsSettledIn(snapshot.Snapshot))
                    throw new CaptureException($"backfill of sources.{_source.Name}: transactions that were open when it was started have not ended yet. They are waited for.", transient: true);
                return await ReadRows(connection, request, snapshot, null, cancellation);
            },
            cancellation);
        await AwaitFlush(chunk.Snapshot.Fence, cancellation);
        return chunk;
    }

    public async ValueTask DisposeAsync()
    {
        if (_replica is not null)
            await _replica.DisposeAsync();
        await _database.DisposeAsync();
    }

    private async Task<TableChunk> ReadRows(
        NpgsqlConnection connection, ChunkRequest request, ChunkSnapshot snapshot, string? slotHorizon, CancellationToken cancellation)
    {
        var (form, text) = request.After is null ? ("", null) : ChunkPlace.Split(request.After);
        var place = text is null ? null : ChunkPlace.Parse(text);
        var table = await Catalog(slotHorizon).Read(connection, request.Scope, request.Relation, cancellation);
        var now = ChunkForm.Of(table);
        if (place is not null && now.ChangeSince(form) is { } altered)
            return new TableChunk(snapshot, table.Table, [], null) { Altered = altered };
        if (request.Scope.Where is { } where)
            await CheckFunctions(connection, request.Scope, where, cancellation);
        var rows = new ChunkRows(_source, table, request.Bounds, _time);
        if (request.Keys is { } keys)
            return await ReadKeys(connection, request, snapshot, table, rows, keys, cancellation);
        var next = table.Order == ChunkOrder.Key
            ? await ReadByKey(connection, request, table, rows, (AfterKey?)place, cancellation)
            : await ReadByPlace(connection, request, table, rows, (AfterRow?)place, cancellation);
        return new TableChunk(snapshot, table.Table, rows.Rows, next is null ? null : ChunkPlace.Text(now, next));
    }

    private static async Task<string?> ReadByKey(
        NpgsqlConnection connection, ChunkRequest request, ChunkTable table, ChunkRows rows, AfterKey? after, CancellationToken cancellation)
    {
        await using var query = ChunkQuery.AfterKey(table, request.Scope.Where, after, request.Bounds.Rows);
        var isEnd = await rows.Take(connection, query, cancellation);
        return isEnd && rows.Rows.Count < request.Bounds.Rows ? null : new AfterKey(rows.LastKey!).ToString();
    }

    // Blocks that a table gets after the snapshot was taken have no row that the snapshot shows. So the size is read after it.
    private static async Task<string?> ReadByPlace(
        NpgsqlConnection connection, ChunkRequest request, ChunkTable table, ChunkRows rows, AfterRow? place, CancellationToken cancellation)
    {
        var start = place ?? new AfterRow(0, 0, 0);
        foreach (var (oid, name) in table.Stores.Where(s => s.Oid >= start.Table))
        {
            var blocks = (long)(await Scalar(connection, Blocks, cancellation, new NpgsqlParameter { Value = oid, NpgsqlDbType = NpgsqlDbType.Oid }))!;
            for (var after = oid == start.Table ? start : new AfterRow(oid, 0, 0); after.Block < blocks;)
            {
                var to = Math.Min(blocks, after.Block + BlocksAtOnce);
                await using var query = ChunkQuery.OfBlocks(table, request.Scope.Where, name, after, to);
                if (!await rows.Take(connection, query, cancellation))
                    return ChunkPlace.OfTid(oid, rows.LastTid!).ToString();
                after = new AfterRow(oid, to, 0);
                if (rows.IsFull)
                    return after.ToString();
            }
        }

        return null;
    }

    private static async Task<TableChunk> ReadKeys(
        NpgsqlConnection connection, ChunkRequest request, ChunkSnapshot snapshot, ChunkTable table, ChunkRows rows, IReadOnlyList<string> keys,
        CancellationToken cancellation)
    {
        if (table.Order != ChunkOrder.Key)
            throw new CaptureException($"backfill: table {request.Scope.FullName} has no key in an index, so single rows cannot be read. Read the whole table.", transient: false);
        var split = keys.Select(EntityKeyText.Split).ToList();
        if (split.Exists(k => k.Count != table.Key.Count))
            throw new CaptureException(
                $"backfill: a key of table {request.Scope.FullName} must have {table.Key.Count} values, separated by commas: those of {string.Join(", ", table.Table.Key.Select(k => table.Table.Columns[k].Name))}.",
                transient: false);
        await using var query = ChunkQuery.OfKeys(table, request.Scope.Where, split);
        var isEnd = await rows.Take(connection, query, cancellation);
        var found = rows.Rows.Select(r => r.Entity.Key).ToHashSet();
        var isFiltered = table.Filter is not null || request.Scope.Where is not null;
        return new TableChunk(snapshot, table.Table, rows.Rows, null)
        {
            Absent = isFiltered || !isEnd ? [] : [.. keys.Where(k => !found.Contains(k)).Distinct().Select(k => new EntityKey(table.Table.FullName, k))],
        };
    }

    private static async Task<long> Estimate(NpgsqlConnection connection, ChunkTable table, string? where, CancellationToken cancellation)
    {
        using var plan = JsonDocument.Parse((string)(await Scalar(connection, ChunkQuery.Estimate(table, where), cancellation))!);
        return (long)plan.RootElement[0].GetProperty("Plan").GetProperty("Plan Rows").GetDouble();
    }

    private async Task<long> CheckFilter(NpgsqlConnection connection, BackfillScope scope, ChunkTable table, string where, CancellationToken cancellation)
    {
        await CheckFunctions(connection, scope, where, cancellation);
        try
        {
            return await Estimate(connection, table, where, cancellation);
        }
        catch (PostgresException refusal) when (refusal.SqlState[..2] is "42" or "22" or "0A" or "54")
        {
            throw Filter(scope, where, $"is not a condition that the server accepts: {refusal.MessageText} ({refusal.SqlState})");
        }
    }

    private async Task CheckFunctions(NpgsqlConnection connection, BackfillScope scope, string where, CancellationToken cancellation)
    {
        if (FilterText.Finding(where, out var functions) is { } finding)
            throw Filter(scope, where, finding);
        if (functions.Count > 0 && await Scalar(connection, Volatile, cancellation, new NpgsqlParameter { Value = functions.ToArray() }) is string function)
            throw Filter(scope, where, $"calls {function}, which is volatile");
    }

    private CaptureException Filter(BackfillScope scope, string where, string finding) => new(
        $"backfill of sources.{_source.Name}: the filter (where) of table {scope.FullName}, '{where}', {finding}. "
        + "Write one condition on the table's columns, as after WHERE.", transient: false);

    private ChunkCatalog Catalog(string? slotHorizon)
    {
        var origins = new RowsOrigins(_source, _schemas, _time);
        return new ChunkCatalog(
            _source, _schemas, new RelationCatalog(_source, new CatalogSnapshot(_source, _database, _time, _logger), origins), slotHorizon, origins);
    }

    // A transaction that was committed asynchronously is visible before it is durable. Its rows must not leave before that.
    private Task<bool> AwaitFlush(Lsn fence, CancellationToken cancellation) =>
        Ask(
            async connection =>
            {
                if (await Scalar(connection, IsFlushed, cancellation, new NpgsqlParameter { Value = fence.ToString() }) is not true)
                    await Scalar(connection, Flush, cancellation, new NpgsqlParameter { Value = Replication.PgOutputDecoder.HeartbeatPrefix });
                return true;
            },
            null, "waiting until the log is flushed", cancellation);

    private Task<T> InChunk<T>(
        BackfillScope scope, ChunkBounds bounds, Func<NpgsqlConnection, ChunkSnapshot, Task<T>> question, CancellationToken cancellation) =>
        Ask(
            async connection =>
            {
                await using var transaction = await Begin(connection, scope, bounds, cancellation);
                string snapshot, fence;
                await using (var command = new NpgsqlCommand(Snapshot, connection))
                {
                    await using var rows = await command.ExecuteReaderAsync(cancellation);
                    await rows.ReadAsync(cancellation);
                    (snapshot, fence) = (rows.GetString(0), rows.GetString(1));
                }

                var answer = await question(connection, new ChunkSnapshot(TransactionSnapshot.Parse(snapshot), Lsn.Parse(fence)));
                await transaction.RollbackAsync(cancellation);
                return answer;
            },
            scope, "reading existing rows", cancellation);

    // The table is locked before the snapshot is taken: a truncation or a rewrite that ends in between would leave a table that is empty for
    // the snapshot.
    private static async Task<NpgsqlTransaction> Begin(NpgsqlConnection connection, BackfillScope scope, ChunkBounds bounds, CancellationToken cancellation)
    {
        var transaction = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, cancellation);
        await using var begin = new NpgsqlBatch(connection);
        foreach (var statement in Beginning(scope, bounds))
            begin.BatchCommands.Add(new NpgsqlBatchCommand(statement));
        await begin.ExecuteNonQueryAsync(cancellation);
        return transaction;
    }

    private static string[] Beginning(BackfillScope scope, ChunkBounds bounds) =>
    [
        "SET TRANSACTION READ ONLY",
        string.Create(CultureInfo.InvariantCulture, $"SET LOCAL statement_timeout TO {(int)bounds.Timeout.TotalMilliseconds}"),
        string.Create(CultureInfo.InvariantCulture, $"SET LOCAL lock_timeout TO {LockMillis}"),
        string.Create(CultureInfo.InvariantCulture, $"SET LOCAL idle_in_transaction_session_timeout TO {IdleMillis}"),
        // A row that a policy hides would be missing, although the stream has it. So the server reports an error instead.
        "SET LOCAL row_security TO off",
        $"LOCK TABLE {Sql.Name(scope.Schema, scope.Table)} IN ACCESS SHARE MODE",
    ];

    private static async Task<object?> Scalar(NpgsqlConnection connection, string text, CancellationToken cancellation, params NpgsqlParameter[] parameters)
    {
        await using var command = new NpgsqlCommand(text, connection);
        command.Parameters.AddRange(parameters);
        return await command.ExecuteScalarAsync(cancellation);
    }

    private async Task<T> Ask<T>(Func<NpgsqlConnection, Task<T>> question, BackfillScope? scope, string doing, CancellationToken cancellation)
    {
        try
        {
            await using var connection = await _database.OpenConnectionAsync(cancellation);
            return await question(connection);
        }
        catch (Exception exception) when (exception is NpgsqlException or IOException or TimeoutException or System.Net.Sockets.SocketException)
        {
            cancellation.ThrowIfCancellationRequested();
            throw scope is not null && exception is PostgresException refusal && ChunkFailure.Of(refusal, _source, scope, _place.Setting) is { } failure
                ? failure
                : _failure.Of(exception, doing);
        }
    }
}
