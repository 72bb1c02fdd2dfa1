using Npgsql;

namespace CdcOrleans.Capture.Postgres.Checks;

/// <summary>An existing publication.</summary>
internal sealed record PublicationFacts
{
    private const string Query = """
        SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate, pubviaroot, pg_has_role(pubowner, 'USAGE'), pg_get_userbyid(pubowner)::text
        FROM pg_publication WHERE pubname = $1
        """;

    // The tables that are named, and those that follow from schemas or from FOR ALL TABLES. The view pg_publication_tables is not used,
    // because newer servers lock every published table for it.
    private static string Members(Version server) => $"""
        WITH RECURSIVE publication AS (SELECT oid, puballtables, pubviaroot FROM pg_publication WHERE pubname = $1),
        members AS (
            SELECT r.prrelid AS oid FROM publication p JOIN pg_publication_rel r ON r.prpubid = p.oid
            UNION
            SELECT c.oid FROM publication p CROSS JOIN pg_class c WHERE p.puballtables
            {(server.Major < 15 ? "" : "UNION SELECT c.oid FROM publication p JOIN pg_publication_namespace s ON s.pnpubid = p.oid JOIN pg_class c ON c.relnamespace = s.pnnspid")}
        ),
        parts AS (
            SELECT oid FROM members
            UNION
            SELECT i.inhrelid FROM publication p CROSS JOIN parts m JOIN pg_inherits i ON i.inhparent = m.oid JOIN pg_class c ON c.oid = i.inhrelid
            WHERE c.relispartition AND NOT p.pubviaroot)
        SELECT n.nspname, c.relname FROM parts m JOIN pg_class c ON c.oid = m.oid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
        """;

    /// <summary>Whether it publishes inserts, updates, deletes and truncations.</summary>
    public required bool PublishesAll { get; init; }

    /// <summary>Whether changes of partitions are published under the name of their partitioned table.</summary>
    public required bool ViaRoot { get; init; }

    /// <summary>Whether our role owns it, itself or through membership.</summary>
    public required bool IsOurs { get; init; }

    public required string Owner { get; init; }

    /// <summary>Tables that it publishes.</summary>
    public required IReadOnlySet<(string Schema, string Name)> Tables { get; init; }

    /// <summary>Reads a publication by name; null when there is none.</summary>
    public static async Task<PublicationFacts?> Read(NpgsqlConnection connection, string name, CancellationToken cancellation)
    {
        bool publishesAll, viaRoot, isOurs;
        string owner;
        await using (var command = new NpgsqlCommand(Query, connection) { Parameters = { new() { Value = name } } })
        {
            await using var rows = await command.ExecuteReaderAsync(cancellation);
            if (!await rows.ReadAsync(cancellation))
                return null;
            (publishesAll, viaRoot, isOurs, owner) = (rows.GetBoolean(0), rows.GetBoolean(1), rows.GetBoolean(2), rows.GetString(3));
        }

        var tables = new HashSet<(string, string)>();
        await using (var command = new NpgsqlCommand(Members(connection.PostgreSqlVersion), connection) { Parameters = { new() { Value = name } } })
        {
            await using var rows = await command.ExecuteReaderAsync(cancellation);
            while (await rows.ReadAsync(cancellation))
                tables.Add((rows.GetString(0), rows.GetString(1)));
        }

        return new PublicationFacts { PublishesAll = publishesAll, ViaRoot = viaRoot, IsOurs = isOurs, Owner = owner, Tables = tables };
    }
}
