using CdcOrleans.Capture.Postgres.Checks;
using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Capture.Postgres.Schemas;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;
using Npgsql;
using NpgsqlTypes;

namespace CdcOrleans.Capture.Postgres.Backfills;

/// <summary>
/// Reads from the catalog how a table is read in chunks: with the columns, the row filter and the key that the stream has. All
/// queries are in the snapshot of the chunk, and the table is locked, so its rows have this form.
/// </summary>
/// <param name="source">The source.</param>
/// <param name="schemas">The schema store.</param>
/// <param name="catalog">Reads what the stream has of a relation.</param>
/// <param name="slotHorizon">The catalog horizon of the source's slot, when the rows are read on a server that has not the slot; null to look it up.</param>
/// <param name="origins">Says what the rows of a relation are made of.</param>
internal sealed class ChunkCatalog(SourceConfiguration source, NamedSchemaStore schemas, RelationCatalog catalog, string? slotHorizon, RowsOrigins origins)
{
    private const string Relation = """
        SELECT c.oid, c.relkind = 'p', c.relreplident, CASE WHEN c.relispartition THEN pg_partition_root(c.oid)::oid END, c.relpersistence = 'p'
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')
        """;

    // The columns that the log has. With REPLICA IDENTITY FULL, all are part of the identity.
    private static string Columns(Version server) => $"""
        SELECT a.attname, a.atttypid, a.atttypmod,
            c.relreplident = 'f' OR EXISTS (
                SELECT FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS u(attnum, place)
                WHERE i.indrelid = c.oid AND CASE c.relreplident WHEN 'd' THEN i.indisprimary AND i.indimmediate WHEN 'i' THEN i.indisreplident ELSE false END
                  AND u.place <= i.indnkeyatts AND u.attnum = a.attnum)
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
        {(server.Major < 18
            ? "AND a.attgenerated = ''"
            : "AND (a.attgenerated = '' OR (a.attgenerated = 's' AND (a.attnum = ANY ($2) OR ($2 IS NULL AND (SELECT p.pubgencols = 's' FROM pg_publication p WHERE p.pubname = $3)))))")}
          AND ($2::int2[] IS NULL OR a.attnum = ANY ($2)) AND $3::text IS NOT NULL
        ORDER BY a.attnum
        """;

    // A publication that has the table's schema has all its rows and columns.
    private const string Terms = """
        SELECT r.prattrs::int2[], pg_get_expr(r.prqual, r.prrelid)
        FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid
        WHERE p.pubname = $2 AND r.prrelid = $1
          AND NOT EXISTS (SELECT FROM pg_publication_namespace s JOIN pg_class c ON c.relnamespace = s.pnnspid WHERE s.pnpubid = p.oid AND c.oid = $1)
        """;

    // Unique indexes with their columns in order. Their equality must be that of the columns' usual order, or two keys could count as one.
    private const string Indexes = """
        SELECT i.indexrelid, a.attname, format_type(a.atttypid, -1), cn.nspname, co.collname,
               o.opcdefault OR o.opcname IN ('text_pattern_ops', 'varchar_pattern_ops', 'bpchar_pattern_ops'),
               (SELECT n.nspname FROM pg_amop m JOIN pg_operator p ON p.oid = m.amopopr JOIN pg_namespace n ON n.oid = p.oprnamespace
                WHERE m.amopfamily = o.opcfamily AND m.amopstrategy = 5 AND m.amoplefttype = o.opcintype AND m.amoprighttype = o.opcintype)
        FROM pg_index i
        CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indcollation::oid[], i.indclass::oid[]) WITH ORDINALITY AS u(attnum, ordered_by, class, place)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.attnum
        JOIN pg_opclass o ON o.oid = u.class
        LEFT JOIN pg_collation co ON co.oid = u.ordered_by
        LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
        WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND u.place <= i.indnkeyatts
        ORDER BY i.indisprimary DESC, i.indexrelid, u.place
        """;

    private const string Stores = """
        WITH RECURSIVE parts AS (
            SELECT c.oid, c.relkind FROM pg_class c WHERE c.oid = $1
            UNION ALL
            SELECT c.oid, c.relkind FROM parts p JOIN pg_inherits i ON i.inhparent = p.oid JOIN pg_class c ON c.oid = i.inhrelid WHERE p.relkind = 'p')
        SELECT c.oid, n.nspname, c.relname FROM parts p JOIN pg_class c ON c.oid = p.oid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'r' ORDER BY c.oid
        """;

    /// <summary>Reads how the table is read.</summary>
    /// <param name="connection">A session in the transaction of the chunk.</param>
    /// <param name="scope">Which rows are read.</param>
    /// <param name="planned">OID of the relation that was planned; 0: any.</param>
    /// <param name="cancellation">Cancels.</param>
    /// <exception cref="CaptureException">The table is not captured, or cannot be read so.</exception>
    public async Task<ChunkTable> Read(NpgsqlConnection connection, BackfillScope scope, uint planned, CancellationToken cancellation)
    {
        var (oid, isPartitioned, identity) = await FindRelation(connection, scope, cancellation);
        if (planned != 0 && planned != oid)
            throw Refused(scope, "is another table than when the backfill began: it was dropped and created again, or another one was given its name", "Start another backfill.");
        var (attributes, filter) = connection.PostgreSqlVersion.Major < 15 ? default : await ReadTerms(connection, oid, cancellation);
        var relation = new RelationMessage
        {
            Oid = oid, Schema = scope.Schema, Name = scope.Table, Identity = identity, Columns = await ReadColumns(connection, oid, attributes, cancellation),
        };
        var history = await schemas.History(source.Name, oid, cancellation);
        var known = history.Count > 0 && history[^1].Table.FullName == scope.FullName ? history[^1].Table : null;
        var facts = await catalog.Now(connection, relation, slotHorizon, cancellation);
        var table = await schemas.Register(source.Name, RelationShape.Of(relation, facts, known: known), cancellation);
        return new ChunkTable
        {
            Table = table,
            IsPartitioned = isPartitioned,
            Stores = await ReadStores(connection, oid, cancellation),
            Key = table.Key.Length == 0 ? [] : await FindKey(connection, oid, table, cancellation),
            Filter = filter,
            Read = Selected(scope, table),
            Origin = await origins.Current(connection, oid, cancellation),
        };
    }

    private async Task<(uint Oid, bool IsPartitioned, ReplicaIdentity Identity)> FindRelation(NpgsqlConnection connection, BackfillScope scope, CancellationToken cancellation)
    {
        uint oid;
        bool isPartitioned, isPartition, isLogged;
        ReplicaIdentity identity;
        await using (var command = new NpgsqlCommand(Relation, connection) { Parameters = { new() { Value = scope.Schema }, new() { Value = scope.Table } } })
        {
            await using var rows = await command.ExecuteReaderAsync(cancellation);
            if (!await rows.ReadAsync(cancellation))
                throw Refused(scope, "does not exist", "Write it as schema.table, in the case in which it was created.");
            (oid, isPartitioned, identity) = (rows.GetFieldValue<uint>(0), rows.GetBoolean(1), (ReplicaIdentity)rows.GetChar(2));
            (isPartition, isLogged) = (!rows.IsDBNull(3), rows.GetBoolean(4));
        }

        if (source.Select(scope.Schema, scope.Table) is null)
            throw Refused(scope, $"is not selected by sources.{source.Name}.tables", "Add it there.");
        var publication = await PublicationFacts.Read(connection, source.Publication, cancellation)
            ?? throw Refused(scope, $"cannot be read: publication {source.Publication} does not exist", "Start the source, which creates it.");
        if (isPartitioned && !publication.ViaRoot)
            throw Refused(scope, $"is partitioned, and publication {source.Publication} publishes its rows under the names of its partitions", "Name the partitions.");
        if (!publication.Tables.Contains((scope.Schema, scope.Table)))
        {
            throw isPartition && publication.ViaRoot
                ? Refused(scope, $"is not published under its own name by publication {source.Publication}", "Name the partitioned table.")
                : !isLogged
                    ? Refused(scope, "is unlogged or temporary, so its changes are not in the log", "Make it a logged table.")
                    : Refused(scope, $"is not in publication {source.Publication}", $"Run ALTER PUBLICATION {Sql.Name(source.Publication)} ADD TABLE {Sql.Name(scope.Schema, scope.Table)};.");
        }

        return (oid, isPartitioned, identity);
    }

    private async Task<(short[]? Attributes, string? Filter)> ReadTerms(NpgsqlConnection connection, uint oid, CancellationToken cancellation)
    {
        await using var command = Ask(connection, Terms, oid);
        command.Parameters.Add(new NpgsqlParameter { Value = source.Publication });
        await using var rows = await command.ExecuteReaderAsync(cancellation);
        return await rows.ReadAsync(cancellation)
            ? (rows.IsDBNull(0) ? null : rows.GetFieldValue<short[]>(0), rows.IsDBNull(1) ? null : rows.GetString(1))
            : default;
    }

    private async Task<IReadOnlyList<RelationColumn>> ReadColumns(NpgsqlConnection connection, uint oid, short[]? attributes, CancellationToken cancellation)
    {
        var columns = new List<RelationColumn>();
        await using var command = Ask(connection, Columns(connection.PostgreSqlVersion), oid);
        command.Parameters.Add(new NpgsqlParameter { Value = (object?)attributes ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Smallint });
        command.Parameters.Add(new NpgsqlParameter { Value = source.Publication });
        await using var rows = await command.ExecuteReaderAsync(cancellation);
        while (await rows.ReadAsync(cancellation))
            columns.Add(new RelationColumn(rows.GetBoolean(3), rows.GetString(0), rows.GetFieldValue<uint>(1), rows.GetInt32(2)));
        return columns;
    }

    // Empty when no index has exactly the columns of the key; then rows are read by place.
    private static async Task<IReadOnlyList<KeyColumn>> FindKey(NpgsqlConnection connection, uint oid, TableSchema table, CancellationToken cancellation)
    {
        var key = table.Key.ToDictionary(k => table.Columns[k].Name);
        var indexes = new List<(uint Index, string Name, string Type, string? Collation, bool IsUsual, string? Operators)>();
        await using (var command = Ask(connection, Indexes, oid))
        {
            await using var rows = await command.ExecuteReaderAsync(cancellation);
            while (await rows.ReadAsync(cancellation))
            {
                indexes.Add((
                    rows.GetFieldValue<uint>(0), rows.GetString(1), rows.GetString(2),
                    rows.IsDBNull(4) ? null : Sql.Name(rows.GetString(3), rows.GetString(4)), rows.GetBoolean(5),
                    rows.IsDBNull(6) ? null : rows.GetString(6)));
            }
        }

        foreach (var index in indexes.GroupBy(i => i.Index))
        {
            if (index.Count() == key.Count && index.All(i => i is { IsUsual: true, Operators: not null } && key.ContainsKey(i.Name)))
                return [.. index.Select(i => new KeyColumn(key[i.Name], i.Name, i.Type, i.Collation, i.Operators!))];
        }

        return [];
    }

    private static async Task<IReadOnlyList<(uint Oid, string SqlName)>> ReadStores(NpgsqlConnection connection, uint oid, CancellationToken cancellation)
    {
        var stores = new List<(uint, string)>();
        await using var command = Ask(connection, Stores, oid);
        await using var rows = await command.ExecuteReaderAsync(cancellation);
        while (await rows.ReadAsync(cancellation))
            stores.Add((rows.GetFieldValue<uint>(0), Sql.Name(rows.GetString(1), rows.GetString(2))));
        return stores;
    }

    private int[] Selected(BackfillScope scope, TableSchema table)
    {
        if (scope.Columns is not { } columns)
            return [.. Enumerable.Range(0, table.Columns.Length)];
        if (columns.FirstOrDefault(c => table.Columns.All(t => t.Name != c)) is { } unknown)
            throw Refused(scope, $"has no captured column '{unknown}'", $"Its columns are {string.Join(", ", table.Columns.Select(c => c.Name))}.");
        return [.. Enumerable.Range(0, table.Columns.Length).Where(c => table.Key.Contains(c) || columns.Contains(table.Columns[c].Name))];
    }

    private CaptureException Refused(BackfillScope scope, string why, string remedy) =>
        new($"backfill of sources.{source.Name}: table {scope.FullName} {why}. {remedy}", transient: false);

    private static NpgsqlCommand Ask(NpgsqlConnection connection, string query, uint oid) =>
        new(query, connection) { Parameters = { new() { Value = oid, NpgsqlDbType = NpgsqlDbType.Oid } } };
}
