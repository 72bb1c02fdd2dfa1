using Npgsql;

namespace CdcOrleans.Capture.Postgres.Checks;

/// <summary>A publication that exists.</summary>
internal sealed record PublicationFacts
{
    private const string Query = """
        SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate, pubviaroot, pg_has_role(pubowner, 'USAGE'), pg_get_userbyid(pubowner)::text
        FROM pg_publication WHERE pubname = $1
        """;

    // Named ones, and those that follow from them or from FOR ALL TABLES.
    private const string Members = """
        SELECT schemaname, tablename FROM pg_publication_tables WHERE pubname = $1
        UNION
        SELECT n.nspname, c.relname
        FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid
        JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE p.pubname = $1
        UNION
        SELECT n.nspname, c.relname
        FROM pg_publication p CROSS JOIN pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE p.pubname = $1 AND p.puballtables AND c.relkind = 'p'
        """;

    /// <summary>Whether it publishes inserts, updates, deletes and truncations.</summary>
    public required bool PublishesAll { get; init; }

    /// <summary>Whether changes of partitions appear as their partitioned table's.</summary>
    public required bool ViaRoot { get; init; }

    /// <summary>Whether our role owns it, itself or through membership.</summary>
    public required bool IsOurs { get; init; }

    public required string Owner { get; init; }

    /// <summary>Tables that it publishes.</summary>
    public required IReadOnlySet<(string Schema, string Name)> Tables { get; init; }

    /// <summary>The publication of a name; null when there is none.</summary>
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
        await using (var command = new NpgsqlCommand(Members, connection) { Parameters = { new() { Value = name } } })
        {
            await using var rows = await command.ExecuteReaderAsync(cancellation);
            while (await rows.ReadAsync(cancellation))
                tables.Add((rows.GetString(0), rows.GetString(1)));
        }

        return new PublicationFacts { PublishesAll = publishesAll, ViaRoot = viaRoot, IsOurs = isOurs, Owner = owner, Tables = tables };
    }
}
