using System.Collections.Concurrent;
using System.Globalization;
using CdcOrleans.Model.Schemas;
using Npgsql;
using NpgsqlTypes;

namespace CdcOrleans.Storage.Postgres;

/// <summary>
/// Stores table schemas in the control database. The meaning of a number never changes, so known schemas are answered from memory.
/// </summary>
internal sealed partial class PostgresSchemaStore(NpgsqlDataSource control) : ISchemaStore
{
    private readonly ConcurrentDictionary<(int TableId, int Version), TableSchema> _byNumber = new();
    private readonly ConcurrentDictionary<(string Source, string Table), int> _tables = new();

    // The newest known schema of each table, which is needed most often.
    private readonly ConcurrentDictionary<(string Source, string Table), TableSchema> _latest = new();

    public async Task<TableSchema> Register(string source, TableSchema schema, CancellationToken cancellation)
    {
        var table = (source, schema.FullName);
        if (_latest.TryGetValue(table, out var known) && StoredSchema.SameSchema(known, schema))
            return known;
        var registered = await RegisterInStore(source, schema, cancellation);
        _tables[table] = registered.TableId;
        _latest[table] = registered;
        return registered;
    }

    public ValueTask<TableSchema> Get(int tableId, int version, CancellationToken cancellation) =>
        _byNumber.TryGetValue((tableId, version), out var known)
            ? new ValueTask<TableSchema>(known)
            : new ValueTask<TableSchema>(Read(tableId, version, cancellation));

    public async ValueTask<int?> FindTable(string source, string table, CancellationToken cancellation)
    {
        if (_tables.TryGetValue((source, table), out var known))
            return known;
        await using var command = control.CreateCommand("SELECT table_id FROM cdc.tables WHERE source = $1 AND name = $2");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = source });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = table });
        if (await command.ExecuteScalarAsync(cancellation) is not int found)
            return null;
        _tables[(source, table)] = found;
        return found;
    }

    public async Task<TableSchema?> FindLatest(string source, string table, CancellationToken cancellation)
    {
        if (_latest.TryGetValue((source, table), out var known))
            return known;
        if (await FindTable(source, table, cancellation) is not { } tableId)
            return null;
        await using var connection = await control.OpenConnectionAsync(cancellation);
        var versions = await ReadVersions(connection, tableId, cancellation);
        return versions.Count == 0 ? null : _byNumber.GetOrAdd((tableId, versions[^1].Version), versions[^1]);
    }

    private async Task<TableSchema> RegisterInStore(string source, TableSchema schema, CancellationToken cancellation)
    {
        await using var connection = await control.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(System.Data.IsolationLevel.ReadCommitted, cancellation);

        // The row of the table is locked until the end of the transaction, so only one silo registers a schema of a table at a time.
        int tableId;
        await using (var batch = new NpgsqlBatch(connection, transaction))
        {
            batch.BatchCommands.Add(new NpgsqlBatchCommand("INSERT INTO cdc.tables (source, name) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            {
                Parameters = { new NpgsqlParameter<string> { TypedValue = source }, new NpgsqlParameter<string> { TypedValue = schema.FullName } },
            });
            batch.BatchCommands.Add(new NpgsqlBatchCommand("SELECT table_id FROM cdc.tables WHERE source = $1 AND name = $2 FOR UPDATE")
            {
                Parameters = { new NpgsqlParameter<string> { TypedValue = source }, new NpgsqlParameter<string> { TypedValue = schema.FullName } },
            });
            tableId = (int)(await batch.ExecuteScalarAsync(cancellation))!;
        }

        var versions = await ReadVersions(connection, tableId, cancellation);
        var registered = versions.FirstOrDefault(v => StoredSchema.SameSchema(v, schema));
        if (registered is null)
        {
            registered = Numbered(schema, tableId, versions.Count == 0 ? 1 : versions[^1].Version + 1);
            await using var insert = new NpgsqlCommand("INSERT INTO cdc.table_schemas (table_id, version, content) VALUES ($1, $2, $3)", connection, transaction);
            insert.Parameters.Add(new NpgsqlParameter<int> { TypedValue = tableId });
            insert.Parameters.Add(new NpgsqlParameter<int> { TypedValue = registered.Version });
            insert.Parameters.Add(new NpgsqlParameter<string> { TypedValue = StoredSchema.Write(schema), NpgsqlDbType = NpgsqlDbType.Jsonb });
            await insert.ExecuteNonQueryAsync(cancellation);
        }

        await transaction.CommitAsync(cancellation);
        return _byNumber.GetOrAdd((registered.TableId, registered.Version), registered);
    }

    private static async Task<List<TableSchema>> ReadVersions(NpgsqlConnection connection, int tableId, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand("SELECT version, content FROM cdc.table_schemas WHERE table_id = $1 ORDER BY version", connection);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = tableId });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var versions = new List<TableSchema>();
        while (await reader.ReadAsync(cancellation))
            versions.Add(StoredSchema.Read(tableId, reader.GetInt32(0), reader.GetString(1)));
        return versions;
    }

    private async Task<TableSchema> Read(int tableId, int version, CancellationToken cancellation)
    {
        await using var command = control.CreateCommand("SELECT content FROM cdc.table_schemas WHERE table_id = $1 AND version = $2");
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = tableId });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = version });
        if (await command.ExecuteScalarAsync(cancellation) is not string content)
            throw new KeyNotFoundException(string.Create(
                CultureInfo.InvariantCulture, $"The control database has no schema {version} of table {tableId}."));
        return _byNumber.GetOrAdd((tableId, version), StoredSchema.Read(tableId, version, content));
    }

    private static TableSchema Numbered(TableSchema schema, int tableId, int version) => new()
    {
        TableId = tableId,
        Version = version,
        Schema = schema.Schema,
        Name = schema.Name,
        Columns = schema.Columns,
        Key = schema.Key,
        InsertsOnly = schema.InsertsOnly,
        RelationOid = schema.RelationOid,
    };
}
