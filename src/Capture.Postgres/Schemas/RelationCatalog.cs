using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Grains.Interfaces.Schemas;
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

    // The modifier of a domain is that of the innermost declaration, as the server itself resolves it. An array's modifier is that of
    // its elements, whose type may be a domain in its turn. int2vector and oidvector are of the category, and not written as arrays.
    private const string Types = """
        WITH RECURSIVE resolved AS (
            SELECT w.place, w.type, w.modifier, 0 AS depth
            FROM unnest($1::oid[], $2::int4[]) WITH ORDINALITY AS w(type, modifier, place)
            UNION ALL
            SELECT r.place, t.typbasetype, t.typtypmod, r.depth + 1
            FROM resolved r JOIN pg_type t ON t.oid = r.type AND t.typtype = 'd'),
        base AS (SELECT DISTINCT ON (place) place, type, modifier FROM resolved ORDER BY place, depth DESC),
        elements AS (
            SELECT b.place, t.typelem AS type, b.modifier, 0 AS depth
            FROM base b JOIN pg_type t ON t.oid = b.type AND t.typcategory = 'A' AND t.typelem <> 0 AND t.typlen = -1
                AND t.oid NOT IN ('int2vector'::regtype, 'oidvector'::regtype)
            UNION ALL
            SELECT e.place, t.typbasetype, t.typtypmod, e.depth + 1
            FROM elements e JOIN pg_type t ON t.oid = e.type AND t.typtype = 'd'),
        element AS (SELECT DISTINCT ON (place) place, type, modifier FROM elements ORDER BY place, depth DESC)
        SELECT b.type, b.modifier, format_type(b.type, b.modifier),
               e.type, e.modifier, format_type(e.type, e.modifier), (SELECT t.typdelim FROM pg_type t WHERE t.oid = e.type)
        FROM base b LEFT JOIN element e USING (place)
        ORDER BY b.place
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
            {
                var element = rows.IsDBNull(3)
                    ? null
                    : new ElementSchema(rows.GetFieldValue<uint>(3), rows.GetInt32(4), rows.GetString(5), rows.GetChar(6));
                types.Add(new CatalogType(rows.GetFieldValue<uint>(0), rows.GetInt32(1), rows.GetString(2), element));
            }
        }

        return new CatalogFacts { PrimaryKey = key, NotNull = notNull, Types = types };
    }
}
