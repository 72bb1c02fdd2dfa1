using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;
using Npgsql;
using NpgsqlTypes;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>
/// Reads the origins of rows (<see cref="RowsOrigin"/>) from the catalog. For each relation it also knows since when the catalog has this
/// origin. One reader of the log uses it.
/// </summary>
internal sealed class RowsOrigins(SourceConfiguration source, ISchemaStore schemas)
{
    private const string Position = "SELECT pg_current_wal_insert_lsn()::text";

    private readonly Dictionary<uint, SeenOrigin> _seen = [];

    // One row for each relation. The version (xmin) of the publication's row changes with every ALTER PUBLICATION that sets options; one
    // that sets the tables, filters or columns makes new rows in pg_publication_rel. Truncated here: the given transaction was the last one that
    // altered the table, and it altered none of its columns, so it did not rewrite the table. With partitions this is not certain.
    private static string Query(Version server) => $"""
        WITH RECURSIVE parts AS (
            SELECT c.oid AS root, c.oid, c.relfilenode, c.relkind, c.relnamespace, c.xmin
            FROM pg_class c WHERE c.relkind IN ('r', 'p') AND ($1 IS NULL OR c.oid = $1)
            UNION ALL
            SELECT p.root, c.oid, c.relfilenode, c.relkind, c.relnamespace, c.xmin
            FROM parts p JOIN pg_inherits i ON i.inhparent = p.oid JOIN pg_class c ON c.oid = i.inhrelid
            WHERE p.relkind = 'p'),
        relations AS (
            SELECT root, string_agg(oid || ' ' || relfilenode, ',' ORDER BY oid) AS files, array_agg(oid) AS oids, array_agg(relnamespace) AS schemas,
                bool_and(relkind = 'r' AND xmin = $3::text::xid) AS altered_here
            FROM parts GROUP BY root),
        altered AS (SELECT DISTINCT attrelid FROM pg_attribute WHERE ($1 IS NULL OR attrelid = $1) AND xmin = $3::text::xid),
        members AS (
            SELECT oid, prrelid FROM pg_publication_rel WHERE prpubid = (SELECT oid FROM pg_publication WHERE pubname = $2))
        SELECT r.root, md5(r.files),
            md5(concat_ws('|',
                (SELECT p.oid || ' ' || p.xmin FROM pg_publication p WHERE p.pubname = $2),
                (SELECT string_agg(m.oid::text, ',' ORDER BY m.oid) FROM members m
                 WHERE m.prrelid = ANY (r.oids) OR m.prrelid IN (SELECT pg_partition_ancestors(r.root)))
                {(server.Major < 15 ? "" : $", ({SchemaMembers})")})),
            r.altered_here AND r.root NOT IN (SELECT attrelid FROM altered), n.nspname, c.relname
        FROM relations r JOIN pg_class c ON c.oid = r.root JOIN pg_namespace n ON n.oid = c.relnamespace
        """;

    private const string SchemaMembers = """
        SELECT string_agg(s.oid::text, ',' ORDER BY s.oid) FROM pg_publication p JOIN pg_publication_namespace s ON s.pnpubid = p.oid
        WHERE p.pubname = $2 AND s.pnnspid = ANY (r.schemas)
        """;

    /// <summary>
    /// Reads the origins of all selected relations, when a reader starts. For those that were the same before, since when they are so is
    /// read from the schema store.
    /// </summary>
    public async Task Start(NpgsqlConnection connection, CancellationToken cancellation)
    {
        var before = await schemas.Origins(source.Name, cancellation);
        var found = await Read(connection, null, 0, cancellation);
        var now = await Now(connection, cancellation);
        var changed = new Dictionary<uint, SeenOrigin>();
        foreach (var (relation, (origin, _)) in found)
        {
            var isSame = before.TryGetValue(relation, out var seen) && seen.Origin == origin;
            _seen[relation] = isSame ? seen! : changed[relation] = new SeenOrigin(origin, now);
        }

        if (changed.Count > 0)
            await schemas.SaveOrigins(source.Name, changed, cancellation);
    }

    /// <summary>Reads the origin of a relation.</summary>
    /// <param name="connection">A connection to the source.</param>
    /// <param name="relation">The relation.</param>
    /// <param name="xid">The transaction of the log in which the relation is announced (32 bits).</param>
    /// <param name="cancellation">Cancels.</param>
    /// <returns>
    /// The origin, and whether it comes from a truncation by the given transaction. Null when the relation does not exist any more.
    /// </returns>
    public async Task<(SeenOrigin Seen, bool IsTruncatedHere)?> Find(NpgsqlConnection connection, uint relation, uint xid, CancellationToken cancellation)
    {
        if (!(await Read(connection, relation, xid, cancellation)).TryGetValue(relation, out var found))
            return null;
        if (!_seen.TryGetValue(relation, out var seen) || seen.Origin != found.Origin)
        {
            seen = new SeenOrigin(found.Origin, await Now(connection, cancellation));
            await schemas.SaveOrigins(source.Name, new Dictionary<uint, SeenOrigin> { [relation] = seen }, cancellation);
            _seen[relation] = seen;
        }

        return (seen, found.IsTruncatedHere);
    }

    private async Task<Dictionary<uint, (RowsOrigin Origin, bool IsTruncatedHere)>> Read(
        NpgsqlConnection connection, uint? relation, uint xid, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(Query(connection.PostgreSqlVersion), connection)
        {
            Parameters =
            {
                new() { Value = relation is { } oid ? oid : DBNull.Value, NpgsqlDbType = NpgsqlDbType.Oid },
                new() { Value = source.Publication },
                new() { Value = (long)xid },
            },
        };
        var found = new Dictionary<uint, (RowsOrigin Origin, bool IsTruncatedHere)>();
        await using var rows = await command.ExecuteReaderAsync(cancellation);
        while (await rows.ReadAsync(cancellation))
        {
            if (relation is not null || source.Select(rows.GetString(4), rows.GetString(5)) is not null)
                found.Add(rows.GetFieldValue<uint>(0), (new RowsOrigin(rows.GetString(1), rows.GetString(2)), rows.GetBoolean(3)));
        }

        return found;
    }

    private static async Task<Lsn> Now(NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(Position, connection);
        return Lsn.Parse((string)(await command.ExecuteScalarAsync(cancellation))!);
    }
}
