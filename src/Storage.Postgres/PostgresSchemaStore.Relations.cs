using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;
using Npgsql;

namespace CdcOrleans.Storage.Postgres;

/// <summary>
/// The history of relations. It is needed only after a relation message, which is rare, so it is always read from the database.
/// </summary>
internal sealed partial class PostgresSchemaStore
{
    public async Task<IReadOnlyList<RelationRecord>> History(string source, uint oid, CancellationToken cancellation)
    {
        var found = new List<(ChangeVersion From, int TableId, int Version, EntityMode Entities, int[] Forgotten, RowsOrigin? Origin, Lsn Seen)>();
        await using (var command = control.CreateCommand(
            """
            SELECT commit_lsn, ordinal, table_id, schema_version, entities, forgotten, origin_files, origin_publication, origin_seen FROM cdc.relations
            WHERE source = $1 AND relation_oid = $2 ORDER BY commit_lsn, ordinal
            """))
        {
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = source });
            command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = oid });
            await using var rows = await command.ExecuteReaderAsync(cancellation);
            while (await rows.ReadAsync(cancellation))
            {
                found.Add((
                    rows.GetVersion(0), rows.GetInt32(2), rows.GetInt32(3),
                    Enum.Parse<EntityMode>(rows.GetString(4), ignoreCase: true), rows.GetFieldValue<int[]>(5),
                    rows.IsDBNull(6) ? null : new RowsOrigin(rows.GetString(6), rows.GetString(7)), new Lsn((ulong)rows.GetInt64(8))));
            }
        }

        // Schemas are looked up after the connection has gone back: one that is not known yet takes a connection of its own.
        var records = new List<RelationRecord>(found.Count);
        foreach (var (from, tableId, version, entities, forgotten, origin, seen) in found)
            records.Add(new RelationRecord(from, await Get(tableId, version, cancellation), entities, forgotten) { Origin = origin, OriginSeen = seen });
        return records;
    }

    public async Task Record(string source, uint oid, RelationRecord record, CancellationToken cancellation)
    {
        await using var command = control.CreateCommand(
            """
            INSERT INTO cdc.relations (source, relation_oid, commit_lsn, ordinal, table_id, schema_version, entities, forgotten,
                origin_files, origin_publication, origin_seen)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            ON CONFLICT (source, relation_oid, commit_lsn, ordinal) DO UPDATE
            SET table_id = excluded.table_id, schema_version = excluded.schema_version, entities = excluded.entities, forgotten = excluded.forgotten,
                origin_files = excluded.origin_files, origin_publication = excluded.origin_publication, origin_seen = excluded.origin_seen
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = source });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = oid });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = checked((long)record.From.CommitLsn.Value) });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = record.From.Ordinal });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = record.Table.TableId });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = record.Table.Version });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = record.Entities.ToString().ToLowerInvariant() });
        command.Parameters.Add(new NpgsqlParameter<int[]> { TypedValue = [.. record.Forgotten] });
        command.Parameters.Add(new NpgsqlParameter<string?> { TypedValue = record.Origin?.Files });
        command.Parameters.Add(new NpgsqlParameter<string?> { TypedValue = record.Origin?.Publication });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = checked((long)record.OriginSeen.Value) });
        await command.ExecuteNonQueryAsync(cancellation);
    }

    public async Task<IReadOnlyDictionary<uint, SeenOrigin>> Origins(string source, CancellationToken cancellation)
    {
        await using var command = control.CreateCommand("SELECT relation_oid, files, publication, seen FROM cdc.origins WHERE source = $1");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = source });
        await using var rows = await command.ExecuteReaderAsync(cancellation);
        var found = new Dictionary<uint, SeenOrigin>();
        while (await rows.ReadAsync(cancellation))
            found.Add((uint)rows.GetInt64(0), new SeenOrigin(new RowsOrigin(rows.GetString(1), rows.GetString(2)), new Lsn((ulong)rows.GetInt64(3))));
        return found;
    }

    public async Task SaveOrigins(string source, IReadOnlyDictionary<uint, SeenOrigin> origins, CancellationToken cancellation)
    {
        await using var command = control.CreateCommand(
            """
            INSERT INTO cdc.origins (source, relation_oid, files, publication, seen)
            SELECT $1, given.* FROM unnest($2, $3, $4, $5) AS given
            ON CONFLICT (source, relation_oid) DO UPDATE SET files = excluded.files, publication = excluded.publication, seen = excluded.seen
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = source });
        command.Parameters.Add(new NpgsqlParameter<long[]> { TypedValue = [.. origins.Keys] });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. origins.Values.Select(o => o.Origin.Files)] });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. origins.Values.Select(o => o.Origin.Publication)] });
        command.Parameters.Add(new NpgsqlParameter<long[]> { TypedValue = [.. origins.Values.Select(o => checked((long)o.Since.Value))] });
        await command.ExecuteNonQueryAsync(cancellation);
    }

    public async Task<uint?> LatestRelation(string source, int tableId, CancellationToken cancellation)
    {
        await using var command = control.CreateCommand(
            "SELECT relation_oid FROM cdc.relations WHERE source = $1 AND table_id = $2 ORDER BY commit_lsn DESC, ordinal DESC LIMIT 1");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = source });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = tableId });
        return await command.ExecuteScalarAsync(cancellation) is long oid ? (uint)oid : null;
    }
}
