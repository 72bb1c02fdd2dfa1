using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Grains.Interfaces.Schemas;
using Npgsql;
using NpgsqlTypes;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>Asks the source's catalog for what relation messages lack.</summary>
internal sealed class RelationCatalog(CatalogSnapshot snapshot)
{
    // Generated columns are not in the log.
    private const string Columns = """
        SELECT a.attnum, a.attname, a.atttypid, a.attnotnull, pg_get_expr(d.adbin, d.adrelid)
        FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = $1 AND a.attnum > 0 AND a.attgenerated = ''
        ORDER BY a.attnum
        """;

    // The primary key, or what can stand for it: a whole unique index on columns that are NOT NULL, the first by name.
    private const string Key = """
        SELECT u.attnum, i.indisprimary
        FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS u(attnum, place)
        WHERE u.place <= i.indnkeyatts AND i.indexrelid = (
            SELECT k.indexrelid FROM pg_index k JOIN pg_class n ON n.oid = k.indexrelid
            WHERE k.indrelid = $1 AND k.indisunique AND k.indisvalid AND k.indpred IS NULL AND k.indexprs IS NULL
              AND (k.indisprimary OR (k.indimmediate AND NOT EXISTS (
                SELECT FROM unnest(k.indkey::int2[]) WITH ORDINALITY AS o(attnum, place)
                JOIN pg_attribute b ON b.attrelid = k.indrelid AND b.attnum = o.attnum
                WHERE o.place <= k.indnkeyatts AND NOT b.attnotnull)))
            ORDER BY k.indisprimary DESC, n.relname LIMIT 1)
        ORDER BY u.place
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
    /// <param name="relation">The relation, as a transaction has it.</param>
    /// <param name="xid">That transaction, as the log numbers it.</param>
    /// <param name="cancellation">Cancels.</param>
    public Task<CatalogFacts> Describe(RelationMessage relation, uint xid, CancellationToken cancellation) =>
        snapshot.Read(relation, xid, connection => Facts(connection, relation, cancellation), cancellation);

    private static async Task<CatalogFacts> Facts(NpgsqlConnection connection, RelationMessage relation, CancellationToken cancellation)
    {
        var attributes = new List<CatalogAttribute>();
        await using (var rows = await Ask(connection, Columns, relation.Oid, cancellation))
        {
            while (await rows.ReadAsync(cancellation))
            {
                attributes.Add(new CatalogAttribute(
                    rows.GetInt16(0), rows.GetString(1), rows.GetFieldValue<uint>(2), rows.GetBoolean(3), rows.IsDBNull(4) ? null : ConstantExpression.TextOf(rows.GetString(4))));
            }
        }

        List<int> primaryKey = [], uniqueIndex = [];
        await using (var rows = await Ask(connection, Key, relation.Oid, cancellation))
        {
            while (await rows.ReadAsync(cancellation))
                (rows.GetBoolean(1) ? primaryKey : uniqueIndex).Add(attributes.FindIndex(a => a.Number == rows.GetInt16(0)));
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

        return new CatalogFacts { Attributes = attributes, PrimaryKey = primaryKey, UniqueIndex = uniqueIndex, Types = types };
    }

    private static async Task<NpgsqlDataReader> Ask(NpgsqlConnection connection, string query, uint relation, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(query, connection);
        command.Parameters.Add(new NpgsqlParameter { Value = relation, NpgsqlDbType = NpgsqlDbType.Oid });
        return await command.ExecuteReaderAsync(cancellation);
    }
}
