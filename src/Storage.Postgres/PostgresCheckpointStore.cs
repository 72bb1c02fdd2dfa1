using System.Data;
using System.Globalization;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Storage;
using Npgsql;
using NpgsqlTypes;

namespace CdcOrleans.Storage.Postgres;

/// <summary>
/// Stores checkpoints in the control database. A checkpoint is one batch of statements, in one implicit transaction and one round trip. The
/// server ends the transaction by itself, so a silo that dies in the middle leaves no locks that a successor would have to wait for.
/// </summary>
/// <param name="control">The control database.</param>
/// <param name="schemas">The schemas of the stored rows.</param>
/// <param name="truncateSlice">Number of states that one statement reads when a table is truncated.</param>
internal sealed class PostgresCheckpointStore(NpgsqlDataSource control, ISchemaStore schemas, int truncateSlice = 20_000) : ICheckpointStore
{
    // The error code that cdc.fence raises.
    private const string StaleOwner = "CDC01";

    public async Task<long> RaiseEpoch(string source, string owner, long? after, CancellationToken cancellation)
    {
        await using var command = control.CreateCommand("SELECT cdc.raise_epoch($1, $2, $3)");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = source });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = owner });
        command.Parameters.Add(new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Bigint, Value = after is { } epoch ? epoch : DBNull.Value });
        try
        {
            return (long)(await command.ExecuteScalarAsync(cancellation))!;
        }
        catch (PostgresException refused) when (refused.SqlState == StaleOwner)
        {
            throw new StaleOwnerException($"Source '{source}' has a newer reader than that of epoch {after}.", epochIsStale: true, []);
        }
    }

    public async Task FixPartitions(string source, int partitions, CancellationToken cancellation)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(partitions, 1);
        await using var command = control.CreateCommand(
            """
            INSERT INTO cdc.sources AS s (source, partitions) VALUES ($1, $2)
            ON CONFLICT (source) DO UPDATE SET partitions = coalesce(s.partitions, excluded.partitions)
            RETURNING partitions
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = source });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = partitions });
        var settled = (int)(await command.ExecuteScalarAsync(cancellation))!;
        if (settled != partitions)
            throw new InvalidOperationException(string.Create(
                CultureInfo.InvariantCulture,
                $"Source '{source}' has run with {settled} partitions since its first start and cannot change to {partitions}, because the number decides the partition of each entity. Remedy: set partitions: {settled}."));
    }

    public async Task<PartitionClaim> Claim(string source, int partition, string owner, CancellationToken cancellation)
    {
        // Waits for a running checkpoint of the former owner, and then sees what it wrote.
        await using var command = control.CreateCommand(
            """
            INSERT INTO cdc.partitions AS p (source, partition, generation, owner) VALUES ($1, $2, 1, $3)
            ON CONFLICT (source, partition) DO UPDATE SET generation = p.generation + 1, owner = excluded.owner, updated_at = now()
            RETURNING generation, progress_lsn, progress_ordinal, high_lsn, high_ordinal
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = source });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = partition });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = owner });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        await reader.ReadAsync(cancellation);
        return new PartitionClaim(reader.GetInt64(0), Version(reader, 1), Version(reader, 3));
    }

    public async Task Commit(Checkpoint checkpoint, CancellationToken cancellation)
    {
        await using var batch = control.CreateBatch();
        CheckpointStatements.AddTo(batch.BatchCommands, checkpoint);
        try
        {
            await batch.ExecuteNonQueryAsync(cancellation);
        }
        catch (PostgresException trouble) when (trouble.SqlState == StaleOwner)
        {
            throw await Refusal(checkpoint, cancellation) ?? (Exception)trouble;
        }
    }

    public async Task Truncate(string source, long epoch, int tableId, ChangeVersion version, CancellationToken cancellation)
    {
        // The states are deleted in slices, so that no statement holds its locks for long. Each slice begins at the key where the one
        // before ended, because deleted rows still cost time until a vacuum. The statistics of a table that changes so fast are out of
        // date, so the planner could read the whole table for each slice. The settings prevent that; they end with the batch.
        var from = "";
        while (true)
        {
            await using var batch = control.CreateBatch();
            batch.Timeout = 0;
            batch.BatchCommands.Add(new NpgsqlBatchCommand(
                "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true)"));
            batch.BatchCommands.Add(ForgetSlice(source, epoch, tableId, version, from));
            await using var reader = await batch.ExecuteReaderAsync(cancellation);
            await reader.NextResultAsync(cancellation);
            await reader.ReadAsync(cancellation);
            if (!reader.GetBoolean(0))
                throw new StaleOwnerException($"Source '{source}' has a newer reader than that of epoch {epoch}.", epochIsStale: true, []);
            if (reader.GetInt64(1) < truncateSlice)
                return;
            from = reader.GetString(2);
        }
    }

    public async Task<EntityState?[]> ReadStates(IReadOnlyList<StateKey> keys, CancellationToken cancellation)
    {
        var states = new EntityState?[keys.Count];
        if (keys.Count == 0)
            return states;
        var found = await ReadRows(keys, cancellation);

        // The schemas are read after the connection was returned to the pool, because reading an unknown schema takes another connection.
        foreach (var stored in found)
            states[stored.Place] = await State(keys, stored, cancellation);
        return states;
    }

    public async Task<FoundState[]> FindStates(IReadOnlyList<StateKey> keys, int mostBytes, CancellationToken cancellation)
    {
        var states = new FoundState[keys.Count];
        if (keys.Count == 0)
            return states;
        var found = new List<(StoredState State, int Bytes)>(keys.Count);
        await using (var command = Asking("""SELECT place, commit_lsn, ordinal, schema_version, deleted, bytes, "row" FROM cdc.find_states($1, $2, $3)""", keys))
        {
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = mostBytes });
            await using var reader = await command.ExecuteReaderAsync(cancellation);
            while (await reader.ReadAsync(cancellation))
                found.Add((Stored(reader, reader.IsDBNull(6) ? null : reader.GetFieldValue<byte[]>(6)), reader.GetInt32(5)));
        }

        // As in ReadStates. The schema of a row that was not returned is not needed yet.
        foreach (var (stored, bytes) in found)
            states[stored.Place] = new FoundState(bytes, bytes > mostBytes ? null : await State(keys, stored, cancellation));
        return states;
    }

    /// <summary>What is durable of every partition of a source that was ever claimed.</summary>
    public async Task<IReadOnlyList<PartitionProgressRow>> ReadProgress(string source, CancellationToken cancellation)
    {
        await using var command = control.CreateCommand(
            """
            SELECT partition, generation, progress_lsn, progress_ordinal, high_lsn, high_ordinal
            FROM cdc.partitions WHERE source = $1 ORDER BY partition
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = source });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var rows = new List<PartitionProgressRow>();
        while (await reader.ReadAsync(cancellation))
            rows.Add(new PartitionProgressRow(reader.GetInt32(0), reader.GetInt64(1), Version(reader, 2), Version(reader, 4)));
        return rows;
    }

    // Each row is read into its own array at once, and not into Npgsql's buffer before.
    private async Task<List<StoredState>> ReadRows(IReadOnlyList<StateKey> keys, CancellationToken cancellation)
    {
        await using var command = Asking("""SELECT place, commit_lsn, ordinal, schema_version, deleted, "row" FROM cdc.read_states($1, $2)""", keys);
        await using var reader = await command.ExecuteReaderAsync(CommandBehavior.SequentialAccess, cancellation);
        var found = new List<StoredState>(keys.Count);
        while (await reader.ReadAsync(cancellation))
        {
            var stored = Stored(reader, row: null);
            found.Add(await reader.IsDBNullAsync(5, cancellation) ? stored : stored with { Row = await reader.GetFieldValueAsync<byte[]>(5, cancellation) });
        }

        return found;
    }

    private NpgsqlCommand Asking(string text, IReadOnlyList<StateKey> keys)
    {
        var tableIds = new int[keys.Count];
        var texts = new string[keys.Count];
        for (var i = 0; i < keys.Count; i++)
        {
            tableIds[i] = keys[i].TableId;
            texts[i] = StoredText.Key(keys[i].Key);
        }

        var command = control.CreateCommand(text);
        command.Parameters.Add(new NpgsqlParameter<int[]> { TypedValue = tableIds });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = texts });
        return command;
    }

    private async ValueTask<EntityState> State(IReadOnlyList<StateKey> keys, StoredState stored, CancellationToken cancellation)
    {
        var table = await schemas.Get(keys[stored.Place].TableId, stored.SchemaVersion, cancellation);
        return new EntityState(stored.Version, table, stored.Row is null ? default : new RowImage(stored.Row), stored.Deleted);
    }

    private static StoredState Stored(NpgsqlDataReader reader, byte[]? row) =>
        new(reader.GetInt32(0) - 1, Version(reader, 1), reader.GetInt32(3), reader.GetBoolean(4), row);

    private NpgsqlBatchCommand ForgetSlice(string source, long epoch, int tableId, ChangeVersion version, string from) => new(
        """
        WITH current AS MATERIALIZED (SELECT FROM cdc.sources WHERE source = $1 AND epoch = $2 FOR SHARE),
        slice AS MATERIALIZED (
            SELECT key FROM cdc.entity_states WHERE table_id = $3 AND key >= $6 AND EXISTS (SELECT FROM current) ORDER BY key LIMIT $7),
        gone AS (
            DELETE FROM cdc.entity_states
            WHERE table_id = $3 AND key >= $6 AND key <= (SELECT max(key) FROM slice) AND (commit_lsn, ordinal) <= ($4, $5))
        SELECT EXISTS (SELECT FROM current), (SELECT count(*) FROM slice), (SELECT max(key) FROM slice)
        """)
    {
        Parameters =
        {
            new NpgsqlParameter<string> { TypedValue = source },
            new NpgsqlParameter<long> { TypedValue = epoch },
            new NpgsqlParameter<int> { TypedValue = tableId },
            new NpgsqlParameter<long> { TypedValue = checked((long)version.CommitLsn.Value) },
            new NpgsqlParameter<long> { TypedValue = version.Ordinal },
            new NpgsqlParameter<string> { TypedValue = from },
            new NpgsqlParameter<int> { TypedValue = truncateSlice },
        },
    };

    // Epochs and generations only rise, so an owner that was stale a moment ago is still stale. Returns null when the store has no stale
    // owner.
    private async Task<StaleOwnerException?> Refusal(Checkpoint checkpoint, CancellationToken cancellation)
    {
        long? epoch;
        await using (var command = control.CreateCommand("SELECT epoch FROM cdc.sources WHERE source = $1"))
        {
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = checkpoint.Source });
            epoch = (long?)await command.ExecuteScalarAsync(cancellation);
        }

        var current = (await ReadProgress(checkpoint.Source, cancellation)).ToDictionary(p => p.Partition, p => p.Generation);
        return StaleOwners.Find(checkpoint, epoch, current);
    }

    private static ChangeVersion Version(NpgsqlDataReader reader, int column) =>
        new(new Lsn((ulong)reader.GetInt64(column)), reader.GetInt64(column + 1));

    private readonly record struct StoredState(int Place, ChangeVersion Version, int SchemaVersion, bool Deleted, byte[]? Row);
}
