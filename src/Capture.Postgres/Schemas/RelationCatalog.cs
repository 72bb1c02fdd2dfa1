using CdcOrleans.Capture.Postgres.Replication;
using Npgsql;
using NpgsqlTypes;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>Asks the source's catalog for what relation messages lack.</summary>
internal sealed class RelationCatalog(NpgsqlDataSource database)
{
    private const string KeyAndNullability = """
        SELECT a.attname, a.attnotnull, k.place
        FROM pg_attribute a
        LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
        LEFT JOIN LATERAL (
            SELECT u.place FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS u(attnum, place)
            WHERE u.attnum = a.attnum AND u.place <= i.indnkeyatts) k ON true
        WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY k.place
        """;

    // The modifier of a domain is that of the innermost declaration, as the server itself resolves it.
    private const string Types = """
        WITH RECURSIVE resolved AS (
            SELECT w.place, w.type, w.modifier, 0 AS depth
            FROM unnest($1::oid[], $2::int4[]) WITH ORDINALITY AS w(type, modifier, place)
            UNION ALL
            SELECT r.place, t.typbasetype, t.typtypmod, r.depth + 1
            FROM resolved r JOIN pg_type t ON t.oid = r.type AND t.typtype = 'd')
        SELECT DISTINCT ON (place) type, modifier, format_type(type, modifier)
        FROM resolved ORDER BY place, depth DESC
        """;

    /// <summary>The catalog's facts of a relation.</summary>
    public async Task<CatalogFacts> Describe(RelationMessage relation, CancellationToken cancellation)
    {
        await using var connection = await database.OpenConnectionAsync(cancellation);
        var key = new List<string>();
        var notNull = new HashSet<string>(StringComparer.Ordinal);
        await using (var command = new NpgsqlCommand(KeyAndNullability, connection))
        {
            command.Parameters.Add(new NpgsqlParameter { Value = relation.Oid, NpgsqlDbType = NpgsqlDbType.Oid });
            await using var rows = await command.ExecuteReaderAsync(cancellation);
            while (await rows.ReadAsync(cancellation))
            {
                var column = rows.GetString(0);
                if (rows.GetBoolean(1))
                    notNull.Add(column);
                if (!rows.IsDBNull(2))
                    key.Add(column);
            }
        }

        var types = new List<CatalogType>(relation.Columns.Count);
        await using (var command = new NpgsqlCommand(Types, connection))
        {
            command.Parameters.Add(new NpgsqlParameter
            {
                Value = relation.Columns.Select(c => c.TypeOid).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Oid,
            });
            command.Parameters.Add(new NpgsqlParameter { Value = relation.Columns.Select(c => c.TypeModifier).ToArray() });
            await using var rows = await command.ExecuteReaderAsync(cancellation);
            while (await rows.ReadAsync(cancellation))
                types.Add(new CatalogType(rows.GetFieldValue<uint>(0), rows.GetInt32(1), rows.GetString(2)));
        }

        return new CatalogFacts { PrimaryKey = key, NotNull = notNull, Types = types };
    }
}
