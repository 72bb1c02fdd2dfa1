using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Model.Schemas;
using Npgsql;
using NpgsqlTypes;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>
/// Reads the types of a relation's columns from the catalog, with domains resolved. One reader of the log uses it. It remembers what it has
/// found, for types that are dropped later.
/// </summary>
internal sealed class RelationTypes
{
    // The modifier of a domain is that of the innermost declaration, as the server itself resolves it. The modifier of an array is that of
    // its elements. Their type may be a domain too. int2vector and oidvector have the category of arrays, but the server does not write
    // them as arrays.
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
               e.type, e.modifier, format_type(e.type, e.modifier), (SELECT t.typdelim FROM pg_type t WHERE t.oid = e.type),
               NOT EXISTS (SELECT FROM pg_type t WHERE t.oid = b.type)
        FROM base b LEFT JOIN element e USING (place)
        ORDER BY b.place
        """;

    // The server's own types, by name; these are never dropped.
    private const string BuiltIn = """
        SELECT typname::text, oid FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typname = ANY ($1)
        """;

    private readonly Dictionary<(uint Oid, int Modifier), CatalogType> _found = [];

    /// <summary>Reads the types of the columns, in the order of the relation message.</summary>
    public async Task<IReadOnlyList<CatalogType>> Read(NpgsqlConnection connection, RelationMessage relation, CancellationToken cancellation)
    {
        (uint Oid, int Modifier)[] declared = [.. relation.Columns.Select(c => (c.TypeOid, c.TypeModifier))];
        var types = await Resolve(connection, declared, cancellation);
        for (var i = 0; i < types.Count; i++)
        {
            if (!types[i].IsGone)
                _found[declared[i]] = types[i];
            else if (_found.TryGetValue(declared[i], out var before))
                types[i] = before;
        }

        if (types.Exists(t => t.IsGone))
            await ResolveBases(connection, relation, types, cancellation);
        return types;
    }

    // The log names the base type of a domain. The domain's modifier is not known.
    private static async Task ResolveBases(NpgsqlConnection connection, RelationMessage relation, List<CatalogType> types, CancellationToken cancellation)
    {
        var names = new Dictionary<int, string>();
        foreach (var (index, type) in types.Index())
        {
            if (type.IsGone && relation.TypeNames.TryGetValue(relation.Columns[index].TypeOid, out var name) && name.IsBuiltIn)
                names.Add(index, name.Name);
        }

        if (names.Count == 0)
            return;
        var oids = new Dictionary<string, uint>();
        await using (var command = new NpgsqlCommand(BuiltIn, connection) { Parameters = { new() { Value = names.Values.Distinct().ToArray() } } })
        {
            await using var rows = await command.ExecuteReaderAsync(cancellation);
            while (await rows.ReadAsync(cancellation))
                oids.Add(rows.GetString(0), rows.GetFieldValue<uint>(1));
        }

        int[] places = [.. names.Where(n => oids.ContainsKey(n.Value)).Select(n => n.Key)];
        var bases = await Resolve(connection, [.. places.Select(p => (oids[names[p]], -1))], cancellation);
        foreach (var (place, type) in places.Zip(bases))
            types[place] = type with { IsGone = true };
    }

    private static async Task<List<CatalogType>> Resolve(NpgsqlConnection connection, (uint Oid, int Modifier)[] declared, CancellationToken cancellation)
    {
        var types = new List<CatalogType>(declared.Length);
        await using var command = new NpgsqlCommand(Types, connection);
        command.Parameters.Add(new NpgsqlParameter
        {
            Value = declared.Select(d => d.Oid).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Oid,
        });
        command.Parameters.Add(new NpgsqlParameter { Value = declared.Select(d => d.Modifier).ToArray() });
        await using var rows = await command.ExecuteReaderAsync(cancellation);
        while (await rows.ReadAsync(cancellation))
        {
            var element = rows.IsDBNull(3)
                ? null
                : new ElementSchema(rows.GetFieldValue<uint>(3), rows.GetInt32(4), rows.GetString(5), rows.GetChar(6));
            types.Add(new CatalogType(rows.GetFieldValue<uint>(0), rows.GetInt32(1), rows.GetString(2), element, rows.GetBoolean(7)));
        }

        return types;
    }
}
