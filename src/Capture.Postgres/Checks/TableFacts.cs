using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Grains.Interfaces.Configuration;
using Npgsql;

namespace CdcOrleans.Capture.Postgres.Checks;

/// <summary>A table that the configuration selects.</summary>
internal sealed record TableFacts
{
    // A deferrable primary key is no replica identity.
    private const string Query = """
        SELECT c.oid, n.nspname, c.relname, c.relkind = 'p', c.relreplident::text, pg_has_role(c.relowner, 'USAGE'),
               CASE WHEN c.relispartition THEN pg_partition_root(c.oid)::oid END,
               EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary),
               EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indimmediate),
               EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident AND i.indisvalid)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
          AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
        ORDER BY n.nspname, c.relname
        """;

    public required uint Oid { get; init; }

    public required string Schema { get; init; }

    public required string Name { get; init; }

    public required bool IsPartitioned { get; init; }

    /// <summary>Whether our role owns it, itself or through membership.</summary>
    public required bool IsOurs { get; init; }

    /// <summary>Whether the log identifies its rows by columns that make a key.</summary>
    public required bool HasKey { get; init; }

    /// <summary>The partitioned table that it is a part of, if any.</summary>
    public required uint? Root { get; init; }

    public string FullName => $"{Schema}.{Name}";

    public string SqlName => Sql.Name(Schema, Name);

    /// <summary>The selected tables, by name. A partition of a selected table is captured through that.</summary>
    public static async Task<List<TableFacts>> ReadSelected(NpgsqlConnection connection, SourceConfiguration source, CancellationToken cancellation)
    {
        var selected = new List<TableFacts>();
        await using var command = new NpgsqlCommand(Query, connection);
        await using var rows = await command.ExecuteReaderAsync(cancellation);
        while (await rows.ReadAsync(cancellation))
        {
            var (schema, name) = (rows.GetString(1), rows.GetString(2));
            if (source.Select(schema, name) is null)
                continue;
            selected.Add(new TableFacts
            {
                Oid = rows.GetFieldValue<uint>(0),
                Schema = schema,
                Name = name,
                IsPartitioned = rows.GetBoolean(3),
                IsOurs = rows.GetBoolean(5),
                Root = rows.IsDBNull(6) ? null : rows.GetFieldValue<uint>(6),
                HasKey = (ReplicaIdentity)rows.GetString(4)[0] switch
                {
                    ReplicaIdentity.Default => rows.GetBoolean(8),
                    ReplicaIdentity.Full => rows.GetBoolean(7),
                    ReplicaIdentity.Index => rows.GetBoolean(9),
                    _ => false,
                },
            });
        }

        var oids = selected.Select(t => t.Oid).ToHashSet();
        selected.RemoveAll(t => t.Root is { } root && oids.Contains(root));
        return selected;
    }
}
