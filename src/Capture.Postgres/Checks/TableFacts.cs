using CdcOrleans.Capture.Postgres.Replication;
using Npgsql;

namespace CdcOrleans.Capture.Postgres.Checks;

/// <summary>A table in the catalog of the source.</summary>
internal sealed record TableFacts
{
    public required uint Oid { get; init; }

    public required string Schema { get; init; }

    public required string Name { get; init; }

    public required bool IsPartitioned { get; init; }

    /// <summary>Whether our role owns it, itself or through membership.</summary>
    public required bool IsOurs { get; init; }

    /// <summary>
    /// Whether the log can identify its old rows. If not, the server refuses updates and deletes of the table as soon as a publication of
    /// updates or deletes has it.
    /// </summary>
    public required bool IsIdentified { get; init; }

    /// <summary>Whether its changes are written to the log. Those of unlogged and temporary tables are not.</summary>
    public required bool IsLogged { get; init; }

    /// <summary>OID of the topmost partitioned table that it is a partition of; null when it is none.</summary>
    public required uint? Root { get; init; }

    public string FullName => $"{Schema}.{Name}";

    public string SqlName => Sql.Name(Schema, Name);

    // A deferrable primary key cannot be a replica identity.
    public const string Query = """
        SELECT c.oid, n.nspname, c.relname, c.relkind = 'p', c.relreplident::text, pg_has_role(c.relowner, 'USAGE'),
               CASE WHEN c.relispartition THEN pg_partition_root(c.oid)::oid END,
               EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indimmediate),
               EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident AND i.indisvalid),
               c.relpersistence = 'p'
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND (n.nspname NOT LIKE 'pg\_%' OR n.nspname LIKE 'pg\_temp\_%') AND n.nspname <> 'information_schema'
        ORDER BY n.nspname, c.relname
        """;

    public static TableFacts Read(NpgsqlDataReader rows) => new()
    {
        Oid = rows.GetFieldValue<uint>(0),
        Schema = rows.GetString(1),
        Name = rows.GetString(2),
        IsPartitioned = rows.GetBoolean(3),
        IsOurs = rows.GetBoolean(5),
        Root = rows.IsDBNull(6) ? null : rows.GetFieldValue<uint>(6),
        IsIdentified = (ReplicaIdentity)rows.GetString(4)[0] switch
        {
            ReplicaIdentity.Default => rows.GetBoolean(7),
            ReplicaIdentity.Full => true,
            ReplicaIdentity.Index => rows.GetBoolean(8),
            _ => false,
        },
        IsLogged = rows.GetBoolean(9),
    };
}
