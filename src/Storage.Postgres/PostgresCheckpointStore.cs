using System.Globalization;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using NpgsqlTypes;

namespace CdcOrleans.Storage.Postgres;

/// <summary>
/// Stores checkpoints in the control database. A checkpoint, or each part of a large one (<see cref="CheckpointParts"/>), is one batch of
/// statements, in one implicit transaction and one round trip. The server ends the transaction by itself when the silo dies in the middle.
/// The fence and its locks come last, so a successor does not wait for a checkpoint that is still being sent; and who waits for a silo that
/// is frozen in the middle ends its session (<see cref="StalledSessions"/>).
/// </summary>
/// <param name="control">The control database.</param>
/// <param name="schemas">The schemas of the stored rows.</param>
/// <param name="truncateSlice">Number of states that one statement reads when a table is truncated.</param>
/// <param name="limits">Bounds of what is written at once.</param>
/// <param name="logger">Logs sessions that were ended.</param>
internal sealed class PostgresCheckpointStore(
    NpgsqlDataSource control, ISchemaStore schemas, int truncateSlice = 20_000, CheckpointLimits? limits = null, ILogger? logger = null) : ICheckpointStore
{
    // The error code that cdc.fence raises.
    private const string StaleOwner = "CDC01";

    private readonly StoredStates _states = new(control, schemas);
    private readonly StalledSessions _stalled = new(control, logger ?? NullLogger.Instance);
    private readonly CheckpointLimits _limits = limits ?? CheckpointLimits.Default;

    public async Task<long> RaiseEpoch(string source, string owner, long? after, CancellationToken cancellation)
    {
        await using var connection = await control.OpenConnectionAsync(cancellation);
        await using var command = new NpgsqlCommand("SELECT cdc.raise_epoch($1, $2, $3)", connection);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = source });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = owner });
        command.Parameters.Add(new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Bigint, Value = after is { } epoch ? epoch : DBNull.Value });
        try
        {
            return (long)(await _stalled.Watch(connection, command.ExecuteScalarAsync(cancellation)))!;
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
        // Waits for a checkpoint of the former owner that is about to commit, and then sees what it wrote. One that is not so far yet is
        // refused when it comes to its fence.
        await using var connection = await control.OpenConnectionAsync(cancellation);
        await using var command = new NpgsqlCommand(
            """
            INSERT INTO cdc.partitions AS p (source, partition, generation, owner) VALUES ($1, $2, 1, $3)
            ON CONFLICT (source, partition) DO UPDATE SET generation = p.generation + 1, owner = excluded.owner, updated_at = now()
            RETURNING generation, progress_lsn, progress_ordinal, high_lsn, high_ordinal
            """,
            connection);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = source });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = partition });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = owner });
        await using var reader = await _stalled.Watch(connection, command.ExecuteReaderAsync(cancellation));
        await reader.ReadAsync(cancellation);
        return new PartitionClaim(reader.GetInt64(0), reader.GetVersion(1), reader.GetVersion(3));
    }

    public async Task<IReadOnlyList<EntityKey>> Commit(Checkpoint checkpoint, CancellationToken cancellation)
    {
        var leftOut = new List<EntityKey>();
        await using var connection = await control.OpenConnectionAsync(cancellation);
        foreach (var part in CheckpointParts.Of(checkpoint, _limits, leftOut))
        {
            await using var batch = new NpgsqlBatch(connection);
            batch.Timeout = part.Seconds(connection.CommandTimeout);
            foreach (var command in part.Commands)
                batch.BatchCommands.Add(command);
            try
            {
                await _stalled.Watch(connection, batch.ExecuteNonQueryAsync(cancellation));
            }
            catch (PostgresException trouble) when (trouble.SqlState == StaleOwner)
            {
                throw await Refusal(checkpoint, cancellation) ?? (Exception)trouble;
            }
        }

        return leftOut;
    }

    public Task Truncate(string source, long epoch, int tableId, ChangeVersion version, CancellationToken cancellation) =>
        InSlices(source, epoch, from => ForgetSlice(source, epoch, tableId, version, from), cancellation);

    public Task Doubt(string source, long epoch, int tableId, CancellationToken cancellation) =>
        InSlices(source, epoch, from => DoubtSlice(source, epoch, tableId, from), cancellation);

    private async Task InSlices(string source, long epoch, Func<string, NpgsqlBatchCommand> slice, CancellationToken cancellation)
    {
        // The states are deleted in slices, so that no statement holds its locks for long. Each slice begins at the key where the one
        // before ended, because deleted rows still cost time until a vacuum. The statistics of a table that changes so fast are out of
        // date, so the planner could read the whole table for each slice. The settings prevent that; they end with the batch.
        var from = "";
        await using var connection = await control.OpenConnectionAsync(cancellation);
        while (true)
        {
            await using var batch = new NpgsqlBatch(connection);
            batch.Timeout = 0;
            batch.BatchCommands.Add(new NpgsqlBatchCommand(
                "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true)"));
            batch.BatchCommands.Add(slice(from));
            await using var reader = await _stalled.Watch(connection, batch.ExecuteReaderAsync(cancellation));
            await reader.NextResultAsync(cancellation);
            await reader.ReadAsync(cancellation);
            if (!reader.GetBoolean(0))
                throw new StaleOwnerException($"Source '{source}' has a newer reader than that of epoch {epoch}.", epochIsStale: true, []);
            if (reader.GetInt64(1) < truncateSlice)
                return;
            from = reader.GetString(2);
        }
    }

    public Task<EntityState?[]> ReadStates(IReadOnlyList<StateKey> keys, CancellationToken cancellation) => _states.Read(keys, cancellation);

    public Task<FoundState[]> FindStates(IReadOnlyList<StateKey> keys, int mostBytes, CancellationToken cancellation) => _states.Find(keys, mostBytes, cancellation);

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
            rows.Add(new PartitionProgressRow(reader.GetInt32(0), reader.GetInt64(1), reader.GetVersion(2), reader.GetVersion(4)));
        return rows;
    }

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

    private NpgsqlBatchCommand DoubtSlice(string source, long epoch, int tableId, string from) => new(
        """
        WITH current AS MATERIALIZED (SELECT FROM cdc.sources WHERE source = $1 AND epoch = $2 FOR SHARE),
        slice AS MATERIALIZED (
            SELECT key FROM cdc.entity_states WHERE table_id = $3 AND key >= $4 AND EXISTS (SELECT FROM current) ORDER BY key LIMIT $5),
        gone AS (
            DELETE FROM cdc.entity_states
            WHERE table_id = $3 AND key >= $4 AND key <= (SELECT max(key) FROM slice) AND deleted),
        doubted AS (
            UPDATE cdc.entity_states SET commit_lsn = 0, ordinal = 0, xid = 0, chunk = NULL
            WHERE table_id = $3 AND key >= $4 AND key <= (SELECT max(key) FROM slice) AND NOT deleted AND commit_lsn <> 0)
        SELECT EXISTS (SELECT FROM current), (SELECT count(*) FROM slice), (SELECT max(key) FROM slice)
        """)
    {
        Parameters =
        {
            new NpgsqlParameter<string> { TypedValue = source },
            new NpgsqlParameter<long> { TypedValue = epoch },
            new NpgsqlParameter<int> { TypedValue = tableId },
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
}
