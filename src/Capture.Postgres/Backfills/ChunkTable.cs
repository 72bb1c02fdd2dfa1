using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Capture.Postgres.Backfills;

/// <summary>A table that is read in chunks, as it is in the snapshot of the chunk.</summary>
internal sealed record ChunkTable
{
    public required TableSchema Table { get; init; }

    /// <summary>Whether it is partitioned; its rows are in its partitions.</summary>
    public required bool IsPartitioned { get; init; }

    /// <summary>The tables that store rows: the table itself or its partitions, by OID.</summary>
    public required IReadOnlyList<(uint Oid, string SqlName)> Stores { get; init; }

    /// <summary>The key's columns in the order of its index; empty when rows are read by place.</summary>
    public required IReadOnlyList<KeyColumn> Key { get; init; }

    /// <summary>The publication's row filter; null without one.</summary>
    public required string? Filter { get; init; }

    /// <summary>Indexes into the schema's columns of those that are read, in their order.</summary>
    public required IReadOnlyList<int> Read { get; init; }

    /// <summary>Where its rows come from.</summary>
    public required RowsOrigin Origin { get; init; }

    public ChunkOrder Order => Key.Count > 0 ? ChunkOrder.Key : ChunkOrder.Place;

    public string SqlName => Sql.Name(Table.Schema, Table.Name);

    /// <summary>The rows of the table in SQL; those of tables that inherit from it are captured under their own names.</summary>
    public string From => IsPartitioned ? SqlName : $"ONLY {SqlName}";
}

/// <summary>A column of the key.</summary>
/// <param name="Place">Its index in the schema's columns.</param>
/// <param name="Name">Its name.</param>
/// <param name="Type">Its type in SQL, without a modifier.</param>
/// <param name="Collation">The collation of the index in SQL; null without one.</param>
/// <param name="Operators">
/// The schema of the operators that order the type. Those of an extension's type are not in the search path, and then another operator might
/// be found by its name.
/// </param>
internal sealed record KeyColumn(int Place, string Name, string Type, string? Collation, string Operators)
{
    /// <summary>Whether the type is ordered by operators of the server itself.</summary>
    public bool IsBuiltIn => Operators == "pg_catalog";

    /// <summary>An operator in SQL.</summary>
    public string Operator(string name) => $"OPERATOR({Sql.Name(Operators)}.{name})";

    /// <summary>The column in an order or a comparison.</summary>
    public string Ordered => Collation is null ? Sql.Name(Name) : $"{Sql.Name(Name)} COLLATE {Collation}";
}
