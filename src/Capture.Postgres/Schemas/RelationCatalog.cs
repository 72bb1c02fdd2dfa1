using System.Globalization;
using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Model.Configuration;
using Npgsql;
using NpgsqlTypes;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>Reads from the catalog of the source what relation messages lack.</summary>
internal sealed class RelationCatalog(SourceConfiguration source, CatalogSnapshot snapshot, RowsOrigins origins)
{
    // The last value of a row: true when the attribute is settled. A transaction before the slot's catalog horizon (catalog_xmin) ended
    // before the commit of everything that the slot can still send. A statement that alters a table waits for the transactions that change
    // its rows. So such an attribute was the same when the log was written.
    private const string Columns = """
        SELECT a.attnum, a.attname, a.atttypid, a.attnotnull, a.attgenerated <> '', COALESCE(age(a.xmin) > age(COALESCE($3::text::xid, s.catalog_xmin)), false)
        FROM pg_attribute a LEFT JOIN pg_replication_slots s ON s.slot_name = $2
        WHERE a.attrelid = $1 AND a.attnum > 0
        ORDER BY a.attnum
        """;

    private const string Identity = """
        SELECT b.attnum
        FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident END
        CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS u(attnum, place)
        JOIN pg_attribute b ON b.attrelid = c.oid AND b.attnum = u.attnum
        WHERE c.oid = $1 AND u.place <= i.indnkeyatts
        """;

    private const string PartitionIdentities = """
        WITH RECURSIVE parts AS (
            SELECT i.inhrelid FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent AND p.relkind = 'p' WHERE i.inhparent = $1
            UNION ALL
            SELECT i.inhrelid FROM parts p JOIN pg_inherits i ON i.inhparent = p.inhrelid)
        SELECT DISTINCT c.relreplident FROM parts p JOIN pg_class c ON c.oid = p.inhrelid WHERE c.relkind = 'r'
        """;

    // Newer servers lock the table for this query.
    private const string Defaults = """
        SELECT d.adnum, pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d WHERE d.adrelid = $1
        """;

    private const string LockPatience = "SET LOCAL lock_timeout TO '200ms'";

    // The primary key, or else a unique index that can serve as a key: not partial, on columns that are NOT NULL, the first by name. The last
    // value of a row: whether two rows could have the same key for a while in the transaction that is read.
    private const string Key = """
        SELECT u.attnum, i.indisprimary, NOT i.indimmediate OR age(i.xmin) <= age($2::text::xid)
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

    private readonly RelationTypes _types = new();

    /// <summary>Reads what the catalog has of a relation.</summary>
    /// <param name="relation">The relation message.</param>
    /// <param name="xid">The transaction that the message belongs to, as in the log (32 bits).</param>
    /// <param name="cancellation">Cancels.</param>
    public Task<CatalogFacts> Describe(RelationMessage relation, uint xid, CancellationToken cancellation) =>
        snapshot.Read(
            relation, xid, connection => Facts(connection, relation, xid, cancellation),
            async (connection, keepsPrimaryKey) =>
                UnseenAlteration.Facts(relation, await Shape(connection, relation, xid, cancellation), keepsPrimaryKey),
            cancellation);

    /// <summary>
    /// Reads what the catalog has of a relation now, in the transaction of a session that has locked it. The origin of its rows is left out.
    /// </summary>
    /// <param name="connection">The session.</param>
    /// <param name="relation">The relation.</param>
    /// <param name="slotHorizon">The slot's catalog horizon, when the session is on a server that has not the slot; null to look it up.</param>
    /// <param name="cancellation">Cancels.</param>
    public async Task<CatalogFacts> Now(NpgsqlConnection connection, RelationMessage relation, string? slotHorizon, CancellationToken cancellation)
    {
        var shape = await Shape(connection, relation, 0, cancellation, slotHorizon);
        List<CatalogAttribute> attributes = [.. shape.Attributes];
        await ReadDefaults(connection, attributes, relation.Oid, cancellation);
        return shape with { Attributes = attributes };
    }

    private async Task<CatalogFacts> Facts(NpgsqlConnection connection, RelationMessage relation, uint xid, CancellationToken cancellation)
    {
        var shape = await Shape(connection, relation, xid, cancellation);
        var origin = await origins.Find(connection, relation.Oid, xid, cancellation);
        List<CatalogAttribute> attributes = [.. shape.Attributes];
        await ReadDefaults(connection, attributes, relation.Oid, cancellation);
        return shape with { Attributes = attributes, Origin = origin?.Seen, IsTruncatedHere = origin?.IsTruncatedHere ?? false };
    }

    private async Task<CatalogFacts> Shape(
        NpgsqlConnection connection, RelationMessage relation, uint xid, CancellationToken cancellation, string? slotHorizon = null)
    {
        var attributes = new List<CatalogAttribute>();
        await using (var rows = await Ask(connection, Columns, relation.Oid, cancellation, source.Slot, slotHorizon))
        {
            while (await rows.ReadAsync(cancellation))
            {
                attributes.Add(new CatalogAttribute(
                    rows.GetInt16(0), rows.GetString(1), rows.GetFieldValue<uint>(2), rows.GetBoolean(3), null, rows.GetBoolean(4), rows.GetBoolean(5)));
            }
        }

        List<int> identity = [];
        await using (var rows = await Ask(connection, Identity, relation.Oid, cancellation))
        {
            while (await rows.ReadAsync(cancellation))
                identity.Add(attributes.FindIndex(a => a.Number == rows.GetInt16(0)));
        }

        List<ReplicaIdentity> partitions = [];
        await using (var rows = await Ask(connection, PartitionIdentities, relation.Oid, cancellation))
        {
            while (await rows.ReadAsync(cancellation))
                partitions.Add((ReplicaIdentity)rows.GetChar(0));
        }

        List<int> primaryKey = [], uniqueIndex = [];
        var keysMayRepeat = attributes.Count == 0;
        await using (var rows = await Ask(connection, Key, relation.Oid, cancellation, xid.ToString(CultureInfo.InvariantCulture)))
        {
            while (await rows.ReadAsync(cancellation))
            {
                (rows.GetBoolean(1) ? primaryKey : uniqueIndex).Add(attributes.FindIndex(a => a.Number == rows.GetInt16(0)));
                keysMayRepeat |= rows.GetBoolean(2);
            }
        }

        return new CatalogFacts
        {
            KeysMayRepeat = keysMayRepeat, Attributes = attributes, PrimaryKey = primaryKey, UniqueIndex = uniqueIndex,
            Types = await _types.Read(connection, relation, cancellation), Identity = identity,
            PartitionIdentities = partitions,
        };
    }

    // Must be the last query. When another session has locked the table, this query fails and ends the transaction. The schema then has no
    // defaults.
    private static async Task ReadDefaults(
        NpgsqlConnection connection, List<CatalogAttribute> attributes, uint relation, CancellationToken cancellation)
    {
        await using (var patience = new NpgsqlCommand(LockPatience, connection))
            await patience.ExecuteNonQueryAsync(cancellation);
        try
        {
            await using var rows = await Ask(connection, Defaults, relation, cancellation);
            while (await rows.ReadAsync(cancellation))
            {
                var at = attributes.FindIndex(a => a.Number == rows.GetInt16(0));
                if (at >= 0 && !attributes[at].IsGenerated && !rows.IsDBNull(1))
                    attributes[at] = attributes[at] with { Default = ConstantExpression.TextOf(rows.GetString(1)) };
            }
        }
        catch (PostgresException locked) when (locked.SqlState == PostgresErrorCodes.LockNotAvailable)
        {
            // Defaults are needed only to complete a key-only row. Waiting for the lock would delay every table.
        }
    }

    private static async Task<NpgsqlDataReader> Ask(NpgsqlConnection connection, string query, uint relation, CancellationToken cancellation, params string?[] names)
    {
        await using var command = new NpgsqlCommand(query, connection);
        command.Parameters.Add(new NpgsqlParameter { Value = relation, NpgsqlDbType = NpgsqlDbType.Oid });
        foreach (var name in names)
            command.Parameters.Add(new NpgsqlParameter { Value = (object?)name ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text });
        return await command.ExecuteReaderAsync(cancellation);
    }
}
