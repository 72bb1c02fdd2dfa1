using System.Collections.Concurrent;
using System.Data;
using System.Text.Json;
using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Storage;
using Npgsql;

namespace CdcOrleans.Storage.Postgres;

/// <summary>
/// Reads states. A state that cannot be read does not keep the others: it has its version and no row
/// (<see cref="RowAbsence.Unreadable"/>), because its version alone keeps order and idempotency.
/// </summary>
/// <param name="control">Where the states are read.</param>
/// <param name="schemas">The schemas of the stored rows.</param>
internal sealed class StoredStates(NpgsqlDataSource control, ISchemaStore schemas)
{
    /// <summary>Stands for a row that is too large to be stored. No row is empty: each has at least its number of columns.</summary>
    public static readonly byte[] TooLarge = [];

    /// <summary>Most chunks that are kept in memory.</summary>
    private const int MostChunks = 1000;

    private readonly ConcurrentDictionary<long, StoredChunk> _chunks = new();

    /// <summary>Reads states. The result has the order of the keys, and null where nothing is stored.</summary>
    public async Task<EntityState?[]> Read(IReadOnlyList<StateKey> keys, CancellationToken cancellation)
    {
        var states = new EntityState?[keys.Count];
        if (keys.Count == 0)
            return states;
        // The schemas are read after the connection was returned to the pool, because reading an unknown schema takes another connection.
        foreach (var stored in await ReadRows(keys, null, cancellation))
            states[stored.Place] = await State(keys[stored.Place].TableId, stored, cancellation);
        return states;
    }

    /// <summary>
    /// Reads states as <see cref="Read"/> does, but rows only up to a size; of larger ones it returns the size alone.
    /// </summary>
    public async Task<FoundState[]> Find(IReadOnlyList<StateKey> keys, int mostBytes, CancellationToken cancellation)
    {
        var states = new FoundState[keys.Count];
        if (keys.Count == 0)
            return states;

        // As in Read. The schema of a row that was not returned is not needed yet.
        foreach (var stored in await ReadRows(keys, mostBytes, cancellation))
        {
            states[stored.Place] = new FoundState(
                stored.Bytes, stored.Bytes > mostBytes ? null : await State(keys[stored.Place].TableId, stored, cancellation));
        }

        return states;
    }

    private async Task<List<Stored>> ReadRows(IReadOnlyList<StateKey> keys, int? mostBytes, CancellationToken cancellation)
    {
        var found = new List<Stored>(keys.Count);
        await ReadRows(keys, mostBytes, 0, keys.Count, found, cancellation);
        return found;
    }

    private async Task<EntityState> State(int tableId, Stored stored, CancellationToken cancellation)
    {
        TableSchema table;
        var isUnreadable = stored.IsUnreadable;
        try
        {
            table = await schemas.Get(tableId, stored.SchemaVersion, cancellation);
        }
        catch (Exception trouble) when (trouble is KeyNotFoundException or JsonException or InvalidDataException)
        {
            // Without its schema the row has no meaning. The newest one stands for the table.
            if (await LatestSchema(tableId, cancellation) is not { } latest)
                throw;
            table = latest;
            isUnreadable = true;
        }

        if (stored.Row is { Length: > 0 } row && !isUnreadable && IsWhole(row, table))
            return new EntityState(stored.Version, table, new RowImage(row), stored.Deleted) { Xid = stored.Xid, Chunk = stored.Chunk };
        var absence = stored.Row is { Length: 0 } ? RowAbsence.TooLarge : isUnreadable || stored.Row is not null ? RowAbsence.Unreadable : RowAbsence.None;
        return new EntityState(stored.Version, table, default, stored.Deleted) { Absence = absence, Xid = stored.Xid, Chunk = stored.Chunk };
    }

    // The server names the statement, and not the row, that it cannot read. So the keys are halved until one is left.
    private async Task ReadRows(IReadOnlyList<StateKey> keys, int? mostBytes, int start, int count, List<Stored> found, CancellationToken cancellation)
    {
        var before = found.Count;
        try
        {
            await ReadSlice(keys, mostBytes, start, count, found, cancellation);
        }
        catch (PostgresException damage) when (damage.SqlState.StartsWith("XX", StringComparison.Ordinal))
        {
            found.RemoveRange(before, found.Count - before);
            if (count == 1)
            {
                await ReadWithoutRow(keys[start], start, found, cancellation);
                return;
            }

            await ReadRows(keys, mostBytes, start, count / 2, found, cancellation);
            await ReadRows(keys, mostBytes, start + (count / 2), count - (count / 2), found, cancellation);
        }
    }

    // Each row is read into its own array at once, and not into Npgsql's buffer before.
    private async Task ReadSlice(IReadOnlyList<StateKey> keys, int? mostBytes, int start, int count, List<Stored> found, CancellationToken cancellation)
    {
        var tableIds = new int[count];
        var texts = new string[count];
        for (var i = 0; i < count; i++)
        {
            tableIds[i] = keys[start + i].TableId;
            texts[i] = StoredText.Key(keys[start + i].Key);
        }

        await using var command = control.CreateCommand(mostBytes is null
            ? """SELECT place, commit_lsn, ordinal, schema_version, deleted, 0, xid, chunk, snapshot, fence, "row" FROM cdc.read_entities($1, $2)"""
            : """SELECT place, commit_lsn, ordinal, schema_version, deleted, bytes, xid, chunk, snapshot, fence, "row" FROM cdc.find_entities($1, $2, $3)""");
        command.Parameters.Add(new NpgsqlParameter<int[]> { TypedValue = tableIds });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = texts });
        if (mostBytes is { } most)
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = most });
        await using var reader = await command.ExecuteReaderAsync(CommandBehavior.SequentialAccess, cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            found.Add(new Stored(start + reader.GetInt32(0) - 1, reader.GetVersion(1), reader.GetInt32(3), reader.GetBoolean(4), null)
            {
                Bytes = reader.GetInt32(5),
                Xid = unchecked((uint)reader.GetInt32(6)),
                Chunk = reader.IsDBNull(7) ? null : Chunk(reader, 7),
                Row = await reader.IsDBNullAsync(10, cancellation) ? null : await reader.GetFieldValueAsync<byte[]>(10, cancellation),
            });
        }
    }

    // Of a chunk there is one object, because many states refer to it.
    private StoredChunk Chunk(NpgsqlDataReader reader, int column)
    {
        var number = reader.GetInt64(column);
        if (_chunks.TryGetValue(number, out var known))
            return known;
        if (_chunks.Count >= MostChunks)
            _chunks.Clear();
        var snapshot = new ChunkSnapshot(TransactionSnapshot.Parse(reader.GetString(column + 1)), new Lsn((ulong)reader.GetInt64(column + 2)));
        return _chunks[number] = new StoredChunk(number, snapshot);
    }

    private async Task ReadWithoutRow(StateKey key, int place, List<Stored> found, CancellationToken cancellation)
    {
        await using var command = control.CreateCommand(
            """
            SELECT s.commit_lsn, s.ordinal, s.schema_version, s.deleted, s.xid, c.id, c.snapshot, c.fence
            FROM cdc.entity_states AS s LEFT JOIN cdc.backfill_chunks AS c ON c.id = s.chunk WHERE s.table_id = $1 AND s.key = $2
            """);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = key.TableId });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = StoredText.Key(key.Key) });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        if (await reader.ReadAsync(cancellation))
        {
            found.Add(new Stored(place, reader.GetVersion(0), reader.GetInt32(2), reader.GetBoolean(3), null)
            {
                IsUnreadable = true,
                Xid = unchecked((uint)reader.GetInt32(4)),
                Chunk = reader.IsDBNull(5) ? null : Chunk(reader, 5),
            });
        }
    }

    private async Task<TableSchema?> LatestSchema(int tableId, CancellationToken cancellation)
    {
        string source, name;
        await using (var command = control.CreateCommand("SELECT source, name FROM cdc.tables WHERE table_id = $1"))
        {
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = tableId });
            await using var reader = await command.ExecuteReaderAsync(cancellation);
            if (!await reader.ReadAsync(cancellation))
                return null;
            (source, name) = (reader.GetString(0), reader.GetString(1));
        }

        return await schemas.FindLatest(source, name, cancellation);
    }

    private static bool IsWhole(byte[] row, TableSchema table)
    {
        try
        {
            var reader = new RowImageReader(row);
            if (reader.ColumnCount != table.Columns.Length)
                return false;
            while (reader.MoveNext())
            {
                // Reading is the check.
            }

            return true;
        }
        catch (InvalidDataException)
        {
            return false;
        }
    }

    private readonly record struct Stored(int Place, ChangeVersion Version, int SchemaVersion, bool Deleted, byte[]? Row)
    {
        public bool IsUnreadable { get; init; }

        public uint Xid { get; init; }

        public StoredChunk? Chunk { get; init; }

        /// <summary>Bytes of the row, also where it was not returned; 0 when all rows were asked for.</summary>
        public int Bytes { get; init; }
    }
}
