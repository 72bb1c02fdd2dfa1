using System.Collections.Concurrent;
using System.Globalization;
using CdcOrleans.Capture.Postgres.Checks;
using CdcOrleans.Capture.Postgres.Schemas;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;
using Npgsql;
using Npgsql.Replication;

namespace CdcOrleans.Capture.Postgres;

/// <summary>Captures one PostgreSQL database through a publication and a logical slot.</summary>
internal sealed class PostgresSourceCapture : ISourceCapture
{
    // A statement that assigns a transaction id flushes the log when it commits. So the heartbeat is sent at once, not with the next write.
    private const string HeartbeatStatement = "SELECT pg_logical_emit_message(false, $1, $2), pg_current_xact_id()::text";

    private const string PositionsQuery = """
        SELECT pg_current_wal_flush_lsn()::text, confirmed_flush_lsn::text,
               GREATEST(pg_wal_lsn_diff(pg_current_wal_flush_lsn(), restart_lsn), 0)::bigint
        FROM pg_replication_slots WHERE slot_name = $1
        """;

    // From its position on, stored rows of the tables that it names are not certainly right.
    private const string ForgetStatement = "SELECT pg_logical_emit_message(true, $1, $2)";

    // What the creation of a slot waits for: every transaction of the server that has an id.
    private const string OpenTransactions = """
        SELECT what, since FROM (
            SELECT format('prepared transaction %L of database %s', gid, database) AS what, prepared AS since FROM pg_prepared_xacts
            UNION ALL
            SELECT format('that of process %s, user %s, database %s', pid, usename, datname), xact_start
            FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()) AS open
        ORDER BY since LIMIT 3
        """;

    /// <summary>Time in which the reader should have read what was written to a table, before it is told that its rows may have changed.</summary>
    private static readonly TimeSpan UnreadPatience = TimeSpan.FromSeconds(5);

    /// <summary>Time after which the creation of a slot is said to wait, and between two looks at what it waits for.</summary>
    private static readonly TimeSpan WaitInterval = TimeSpan.FromSeconds(1);

    private readonly SourceConfiguration _source;
    private readonly SourceConnection _place;
    private readonly CaptureFailure _failure;
    private readonly NamedSchemaStore _schemas;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly NpgsqlDataSource _database;
    private readonly ConcurrentDictionary<string, byte> _logged = new();
    private IReadOnlyList<string> _leftOut = [];
    private volatile string? _waiting;
    private volatile RowsOrigins? _origins;
    private volatile ServerLog? _prepared;

    public PostgresSourceCapture(SourceConfiguration source, ISchemaStore schemas, TimeProvider time, ILogger logger)
    {
        _source = source;
        _schemas = new NamedSchemaStore(source, schemas);
        _time = time;
        _logger = logger;
        _place = new SourceConnection(source);
        _failure = new CaptureFailure(source, _place);
        _database = NpgsqlDataSource.Create(_place.Ordinary);
    }

    public IReadOnlyList<string> LeftOut => Volatile.Read(ref _leftOut);

    public string? Waiting => _waiting;

    public async Task<IReadOnlyList<string>> Check(CancellationToken cancellation)
    {
        try
        {
            return (await Ask((connection, token) => SourceChecks.Run(connection, _source, _place, _schemas, isStreaming: false, token), "checking", cancellation)).Findings;
        }
        catch (CaptureException exception)
        {
            return [exception.Message];
        }
    }

    public Task<CaptureFacts> Prepare(Func<CancellationToken, Task<ConfirmedPosition?>>? lastConfirmed, CancellationToken cancellation)
    {
        // Idle connections may lead to the server that had this address before.
        _database.Clear();
        return Ask(
            async (connection, token) =>
            {
                var checks = await Passed(connection, isStreaming: false, token);
                var timelines = await Timelines(checks.Server, connection.PostgreSqlVersion, token);
                var last = lastConfirmed is null ? null : await lastConfirmed(token);
                var gap = SlotCheck.Gap(_source, checks.Server, timelines, checks.Slot, last);
                if (gap is not null && last is not { GapAccepted: true })
                    throw new CaptureException(SlotCheck.Unaccepted(_source, gap), transient: false);
                // While there is a slot, a table may be locked by a transaction that waits for us. Then it is added later (Watch).
                if (checks.Slot is not null && checks.Publication is not null)
                    await Join(connection, checks, token);
                else
                    await EnsurePublication(connection, checks, token);
                // The slot is created after the publication. The server decodes the log with the catalog as it was at each change, so a
                // slot that is older than its publication cannot be read.
                var confirmed = checks.Slot?.Confirmed;
                if (confirmed is null)
                {
                    // So that the origins of rows are known from before the first change on.
                    await new RowsOrigins(_source, _schemas, _time).Start(connection, token);
                    confirmed = await CreateSlot(connection, token);
                }

                _prepared = timelines.Log;
                return new CaptureFacts(
                    checks.Server.Database, timelines.Log, checks.Server.Version, checks.Slot is null, confirmed.Value,
                    [.. checks.Tables.All.Select(t => t.FullName)], gap);
            },
            "preparing", cancellation);
    }

    public Task<IReadOnlyList<string>> Watch(CancellationToken cancellation) =>
        Ask<IReadOnlyList<string>>(
            async (connection, token) =>
            {
                var checks = await Passed(connection, isStreaming: true, token);
                var joined = await Join(connection, checks, token);
                foreach (var table in joined)
                    _logger.TableJoined(_source.Name, table, _source.Publication);
                await TellUnnoticed(connection, token);
                return joined;
            },
            "watching", cancellation);

    public async Task<IWalStream> Stream(Func<Lsn, CancellationToken, Task>? reporting, CancellationToken cancellation)
    {
        if (SlotCheck.NameFinding(_source) is { } finding)
            throw new CaptureException(finding, transient: false);
        var origins = new RowsOrigins(_source, _schemas, _time);
        var (found, server) = await Ask(
            async (connection, token) =>
            {
                await origins.Start(connection, token);
                return (await SlotFacts.Read(connection, _source.Slot, token), connection.PostgreSqlVersion);
            },
            "looking at the slot", cancellation);
        _origins = origins;
        var slot = found ?? throw new CaptureException(SlotCheck.Missing(_source), transient: false);
        if (slot.IsLost)
            throw new CaptureException(SlotCheck.Lost(_source), transient: false);
        if (slot.ActiveProcess is not null)
            throw new CaptureException(SlotCheck.InUse(_source, slot), transient: true);

        var catalog = new RelationCatalog(_source, new CatalogSnapshot(_source, _database, _time, _logger), origins);
        var announcer = new RelationAnnouncer(_source, catalog, origins, _schemas, _logger);
        return await PostgresWalStream.Start(
            new WalStreamSettings(_source, _place, _failure, announcer, _database, reporting, _time, _logger), server, _prepared, slot.Confirmed, cancellation);
    }

    public Task Heartbeat(CancellationToken cancellation) =>
        Ask(
            async (connection, token) =>
            {
                await using var command = new NpgsqlCommand(HeartbeatStatement, connection)
                {
                    Parameters =
                    {
                        new() { Value = Replication.PgOutputDecoder.HeartbeatPrefix },
                        new() { Value = Replication.PgOutputDecoder.HeartbeatOf(_source.Name, _time.GetUtcNow()) },
                    },
                };
                return await command.ExecuteNonQueryAsync(token);
            },
            "writing a heartbeat", cancellation);

    public Task<SourcePositions> Positions(CancellationToken cancellation) =>
        Ask(
            async (connection, token) =>
            {
                // At the same pace.
                if (_origins is { } origins)
                    await origins.Look(connection, token);
                await using var command = new NpgsqlCommand(PositionsQuery, connection) { Parameters = { new() { Value = _source.Slot } } };
                await using var rows = await command.ExecuteReaderAsync(token);
                if (!await rows.ReadAsync(token))
                    throw new CaptureException(SlotCheck.Missing(_source), transient: false);
                return new SourcePositions(
                    Lsn.Parse(rows.GetString(0)),
                    rows.IsDBNull(1) ? Lsn.None : Lsn.Parse(rows.GetString(1)),
                    rows.IsDBNull(2) ? 0 : rows.GetInt64(2));
            },
            "asking for positions", cancellation);

    public Task<bool> EndStaleReader(CancellationToken cancellation) =>
        Ask(
            async (connection, token) =>
            {
                var slot = await SlotFacts.Read(connection, _source.Slot, token);
                if (slot?.ActiveProcess is not { } process || slot.ActiveName != _place.ReaderName)
                    return false;
                await using var command = new NpgsqlCommand("SELECT pg_terminate_backend($1)", connection)
                {
                    Parameters = { new() { Value = process } },
                };
                if (await command.ExecuteScalarAsync(token) is not true)
                    return false;
                _logger.StaleReaderEnded(_source.Name, _source.Slot, process);
                await Released(connection, process, token);
                return true;
            },
            "ending a stale reader", cancellation);

    public ValueTask DisposeAsync() => _database.DisposeAsync();

    // Another session may drop or add a table between the check and the statement, or hold a lock on it. Then the next check tries again.
    private async Task<IReadOnlyList<string>> Join(NpgsqlConnection connection, SourceChecks checks, CancellationToken cancellation)
    {
        if (checks.Joining.Count == 0)
            return [];
        try
        {
            await using (var patience = new NpgsqlCommand("SET lock_timeout TO '2s'", connection))
                await patience.ExecuteNonQueryAsync(cancellation);
            return await EnsurePublication(connection, checks, cancellation);
        }
        catch (PostgresException raced) when (raced.SqlState is PostgresErrorCodes.UndefinedTable or PostgresErrorCodes.DuplicateObject
            or PostgresErrorCodes.LockNotAvailable or PostgresErrorCodes.DeadlockDetected)
        {
            _logger.NotJoined(_source.Name, _source.Publication, raced.MessageText);
            return [];
        }
    }

    // Rows of a table may change without an event while the log has nothing of the table. The reader learns of it by a message in the log.
    private async Task TellUnnoticed(NpgsqlConnection connection, CancellationToken cancellation)
    {
        if (_origins is not { } origins)
            return;
        var unread = origins.Unread(UnreadPatience);
        if (unread.Count == 0)
            return;
        var stored = new List<string>();
        foreach (var table in unread.Values)
        {
            if (await _schemas.FindTable(_source.Name, table, cancellation) is not null)
                stored.Add(table);
        }

        if (stored.Count > 0)
        {
            await using var command = new NpgsqlCommand { Connection = connection, CommandText = ForgetStatement };
            command.Parameters.AddRange(ForgetParameters(stored));
            await command.ExecuteNonQueryAsync(cancellation);
            foreach (var table in stored)
                _logger.RowsChangedSilently(_source.Name, table);
        }

        await origins.Told([.. unread.Keys], cancellation);
    }

    private NpgsqlParameter[] ForgetParameters(IEnumerable<string> tables) =>
    [
        new NpgsqlParameter<string> { TypedValue = Replication.PgOutputDecoder.JoinPrefix },
        new NpgsqlParameter<string> { TypedValue = string.Join('\n', [_source.Name, .. tables]) },
    ];

    // Only a replication connection can read the history of timelines. The first timeline has none.
    private async Task<ServerTimelines> Timelines(ServerFacts server, Version version, CancellationToken cancellation)
    {
        if (server.Timeline == ServerTimelines.First)
            return ServerTimelines.Of(server.SystemIdentifier, server.Timeline, null);
        await using var connection = new LogicalReplicationConnection(_place.Replication(version));
        await connection.Open(cancellation);
        var timelines = await ServerTimelines.Read(connection, cancellation);
        var checkedLog = new ServerLog(server.SystemIdentifier, server.Timeline, null);
        return timelines.Log.MayBe(checkedLog) ? timelines : throw _failure.Changed(checkedLog, timelines.Log);
    }

    private async Task<SourceChecks> Passed(NpgsqlConnection connection, bool isStreaming, CancellationToken cancellation)
    {
        var checks = await SourceChecks.Run(connection, _source, _place, _schemas, isStreaming, cancellation);
        IReadOnlyList<string> leftOut = [.. checks.LeftOut, .. checks.Tables.NotLogged.Select(t => PublicationCheck.NotLogged(_source, t))];
        Volatile.Write(ref _leftOut, leftOut);
        foreach (var words in checks.Gone.Concat(leftOut))
            LogOnce(words);
        return checks.Findings.Count == 0
            ? checks
            : throw new CaptureException(string.Join(Environment.NewLine, checks.Findings), transient: false);
    }

    private void LogOnce(string words)
    {
        if (_logged.TryAdd(words, 0))
            _logger.TableNotCaptured(_source.Name, words);
    }

    // Returns the tables that were added to an existing publication.
    private async Task<IReadOnlyList<string>> EnsurePublication(NpgsqlConnection connection, SourceChecks checks, CancellationToken cancellation)
    {
        var isThere = checks.Publication is not null;
        if (isThere && checks.Joining.Count == 0)
            return [];
        // The reader must know from which position on a table is captured, and the log itself does not say it. So a message is written in
        // the same transaction.
        await using var batch = new NpgsqlBatch(connection);
        batch.BatchCommands.Add(new NpgsqlBatchCommand(
            isThere ? PublicationCheck.AddStatement(_source.Publication, checks.Joining) : PublicationCheck.CreateStatement(_source, checks.Joining)));
        if (isThere)
        {
            var message = new NpgsqlBatchCommand(ForgetStatement);
            message.Parameters.AddRange(ForgetParameters(checks.Joining.Select(t => t.FullName)));
            batch.BatchCommands.Add(message);
        }

        await batch.ExecuteNonQueryAsync(cancellation);
        if (!isThere)
        {
            _logger.PublicationCreated(_source.Name, _source.Publication, checks.Joining.Count);
            return [];
        }

        _logger.PublicationExtended(_source.Name, _source.Publication, checks.Joining.Count);
        return [.. checks.Joining.Select(t => t.FullName)];
    }

    private async Task<Lsn> CreateSlot(NpgsqlConnection connection, CancellationToken cancellation)
    {
        _logger.CreatingSlot(_source.Name, _source.Slot);
        if (connection.PostgreSqlVersion.Major >= 17)
        {
            await using var patience = new NpgsqlCommand("SET transaction_timeout TO 0", connection);
            await patience.ExecuteNonQueryAsync(cancellation);
        }

        // With "failover", standbys that synchronize slots have it too, so it still exists after a promotion.
        var failover = connection.PostgreSqlVersion.Major >= 17 ? ", failover => true" : "";
        await using var command = new NpgsqlCommand($"SELECT lsn::text FROM pg_create_logical_replication_slot($1, 'pgoutput'{failover})", connection)
        {
            CommandTimeout = 0,
            Parameters = { new() { Value = _source.Slot } },
        };
        var creating = command.ExecuteScalarAsync(cancellation);
        try
        {
            while (await Task.WhenAny(creating, Task.Delay(WaitInterval, _time, cancellation)) != creating && !cancellation.IsCancellationRequested)
                _waiting = await DescribeWait(cancellation);
            var position = Lsn.Parse((string)(await creating)!);
            _logger.SlotCreated(_source.Name, _source.Slot, position);
            return position;
        }
        finally
        {
            // The connection must not be given back while the statement runs.
            await ((Task)creating).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            _waiting = null;
        }
    }

    private async Task<string> DescribeWait(CancellationToken cancellation)
    {
        await using var connection = await _database.OpenConnectionAsync(cancellation);
        await using var command = new NpgsqlCommand(OpenTransactions, connection);
        await using var rows = await command.ExecuteReaderAsync(cancellation);
        var open = new List<string>();
        while (await rows.ReadAsync(cancellation))
            open.Add(string.Create(CultureInfo.InvariantCulture, $"{rows.GetString(0)}, open since {rows.GetDateTime(1).ToUniversalTime():u}"));
        return $"sources.{_source.Name}.postgres.slot: slot {_source.Slot} is being created, and the server first waits until all transactions that were open have ended"
            + (open.Count == 0 ? "." : $": {string.Join("; ", open)}. Wait, or end them (COMMIT PREPARED or ROLLBACK PREPARED; pg_terminate_backend for a process).");
    }

    // The process releases the slot a moment after it was ended.
    private async Task Released(NpgsqlConnection connection, int process, CancellationToken cancellation)
    {
        var deadline = _time.GetTimestamp();
        while ((await SlotFacts.Read(connection, _source.Slot, cancellation))?.ActiveProcess == process
            && _time.GetElapsedTime(deadline) < TimeSpan.FromSeconds(5))
            await Task.Delay(TimeSpan.FromMilliseconds(10), _time, cancellation);
    }

    private async Task<T> Ask<T>(Func<NpgsqlConnection, CancellationToken, Task<T>> question, string doing, CancellationToken cancellation)
    {
        try
        {
            await using var connection = await _database.OpenConnectionAsync(cancellation);
            return await question(connection, cancellation);
        }
        catch (Exception exception) when (exception is NpgsqlException or IOException or TimeoutException or System.Net.Sockets.SocketException)
        {
            cancellation.ThrowIfCancellationRequested();
            throw _failure.Of(exception, doing);
        }
    }
}
