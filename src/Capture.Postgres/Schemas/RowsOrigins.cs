using System.Collections.Concurrent;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;
using Npgsql;
using NpgsqlTypes;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>
/// Reads the origins of rows (<see cref="RowsOrigin"/>) from the catalog. For each relation it also knows since when the catalog has this
/// origin. One reader of the log uses it, and the watch of the source beside it.
/// </summary>
internal sealed class RowsOrigins(SourceConfiguration source, ISchemaStore schemas, TimeProvider time)
{
    private const string Position = "SELECT pg_current_wal_insert_lsn()::text";

    // One value for everything that origins are made of. It costs a few milliseconds for ten thousand tables.
    private static string Fingerprint(Version server) => $"""
        SELECT concat_ws(' ',
            (SELECT count(*) || ' ' || sum(hashtextextended(concat_ws(' ', oid, relfilenode, relname, relnamespace), 0))
             FROM pg_class WHERE relkind IN ('r', 'p') AND relpersistence <> 't'),
            (SELECT count(*) || ' ' || sum(hashtextextended(concat_ws(' ', inhrelid, inhparent, xmin), 0)) FROM pg_inherits),
            (SELECT oid || ' ' || xmin FROM pg_publication WHERE pubname = $1),
            (SELECT count(*) || ' ' || sum(m.oid::bigint) FROM pg_publication_rel m JOIN pg_publication p ON p.oid = m.prpubid WHERE p.pubname = $1)
            {(server.Major < 15 ? "" : ", (SELECT count(*) || ' ' || sum(m.oid::bigint) FROM pg_publication_namespace m JOIN pg_publication p ON p.oid = m.pnpubid WHERE p.pubname = $1)")})
        """;

    private readonly ConcurrentDictionary<uint, SeenOrigin> _seen = new();

    // Relations that have another origin than before, of which the reader has read nothing since; with the time at which that was seen. The new
    // origin is not stored yet, so that it is seen again after a restart.
    private readonly ConcurrentDictionary<uint, (string Table, long At)> _unread = new();
    private string? _fingerprint;

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
        altered AS (SELECT DISTINCT attrelid FROM pg_attribute WHERE ($1 IS NULL OR attrelid = $1) AND xmin = $3::text::xid)
        SELECT r.root, md5(r.files),
            md5(concat_ws('|',
                (SELECT p.oid || ' ' || p.xmin FROM pg_publication p WHERE p.pubname = $2),
                (SELECT string_agg(m.oid::text, ',' ORDER BY m.oid) FROM pg_publication_rel m
                 WHERE m.prrelid = ANY (r.oids || ARRAY (SELECT a::oid FROM pg_partition_ancestors(r.root) AS a))
                   AND m.prpubid = (SELECT oid FROM pg_publication WHERE pubname = $2))
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
        foreach (var (relation, seen) in await schemas.Origins(source.Name, cancellation))
            _seen[relation] = seen;
        await Look(connection, cancellation);
    }

    /// <summary>
    /// Looks for relations that have another origin, so that since when they have it is known as exactly as the time between two looks. If the
    /// reader learned of it only by their next change, the rows of this change would be doubted too.
    /// </summary>
    public async Task Look(NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(Fingerprint(connection.PostgreSqlVersion), connection) { Parameters = { new() { Value = source.Publication } } };
        var fingerprint = (string?)await command.ExecuteScalarAsync(cancellation);
        if (fingerprint == _fingerprint)
            return;
        var found = await Read(connection, null, 0, cancellation);
        var now = await Now(connection, cancellation);
        var added = new Dictionary<uint, SeenOrigin>();
        foreach (var (relation, (origin, _, table)) in found)
        {
            var isKnown = _seen.TryGetValue(relation, out var seen);
            if (isKnown && seen!.Origin == origin)
                continue;
            _seen[relation] = new SeenOrigin(origin, now);
            if (isKnown)
                _unread[relation] = (table, time.GetTimestamp());
            else
                added[relation] = _seen[relation];
        }

        if (added.Count > 0)
            await schemas.SaveOrigins(source.Name, added, cancellation);
        _fingerprint = fingerprint;
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
        var isUnread = _unread.ContainsKey(relation);
        if (!(await Read(connection, relation, xid, cancellation)).TryGetValue(relation, out var found))
            return null;
        if (!_seen.TryGetValue(relation, out var seen) || seen.Origin != found.Origin)
        {
            seen = new SeenOrigin(found.Origin, await Now(connection, cancellation));
            isUnread = true;
        }

        if (isUnread)
        {
            await schemas.SaveOrigins(source.Name, new Dictionary<uint, SeenOrigin> { [relation] = seen }, cancellation);
            _seen[relation] = seen;
            _unread.TryRemove(relation, out _);
        }

        return (seen, found.IsTruncatedHere);
    }

    /// <summary>Reads the origin that a relation has in the snapshot of a session that has locked it.</summary>
    public async Task<RowsOrigin> Current(NpgsqlConnection connection, uint relation, CancellationToken cancellation) =>
        (await Read(connection, relation, 0, cancellation))[relation].Origin;

    /// <summary>
    /// Returns the relations, each with its table as <c>schema.table</c>, that have had another origin for some time while the reader has read
    /// nothing of them. As long as none of their rows changes, the log has nothing that would make it look. Then call <see cref="Told"/>.
    /// </summary>
    public IReadOnlyDictionary<uint, string> Unread(TimeSpan since) =>
        _unread.Where(u => time.GetElapsedTime(u.Value.At) >= since).ToDictionary(u => u.Key, u => u.Value.Table);

    /// <summary>Records that rows of a relation are doubted until a transaction comes that is newer than its origin, and perhaps none comes.</summary>
    public void Doubted(uint relation, string table) => _unread.TryAdd(relation, (table, time.GetTimestamp()));

    /// <summary>Records that rows of a relation are not doubted any more.</summary>
    public void Settled(uint relation) => _unread.TryRemove(relation, out _);

    /// <summary>Records that the log says now that the stored rows of these relations must be forgotten.</summary>
    public async Task Told(IReadOnlyCollection<uint> relations, CancellationToken cancellation)
    {
        await schemas.SaveOrigins(source.Name, relations.ToDictionary(r => r, r => _seen[r]), cancellation);
        foreach (var relation in relations)
            _unread.TryRemove(relation, out _);
    }

    private async Task<Dictionary<uint, (RowsOrigin Origin, bool IsTruncatedHere, string Table)>> Read(
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
        var found = new Dictionary<uint, (RowsOrigin Origin, bool IsTruncatedHere, string Table)>();
        await using var rows = await command.ExecuteReaderAsync(cancellation);
        while (await rows.ReadAsync(cancellation))
        {
            if (relation is not null || source.Select(rows.GetString(4), rows.GetString(5)) is not null)
                found.Add(rows.GetFieldValue<uint>(0), (new RowsOrigin(rows.GetString(1), rows.GetString(2)), rows.GetBoolean(3), $"{rows.GetString(4)}.{rows.GetString(5)}"));
        }

        return found;
    }

    private static async Task<Lsn> Now(NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(Position, connection);
        return Lsn.Parse((string)(await command.ExecuteScalarAsync(cancellation))!);
    }
}
