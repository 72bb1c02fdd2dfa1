using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>What the catalog knows of a relation and the log does not say. The catalog may be ahead of the log.</summary>
internal sealed record CatalogFacts
{
    /// <summary>The relation's columns in the order of their creation, with those dropped since; empty when it does not exist any more.</summary>
    public required IReadOnlyList<CatalogAttribute> Attributes { get; init; }

    /// <summary>The primary key's columns in its declared order, as indexes into <see cref="Attributes"/>; empty without one.</summary>
    public required IReadOnlyList<int> PrimaryKey { get; init; }

    /// <summary>
    /// The same of the first unique index, by name, that can stand for a key: whole, on columns that are NOT NULL. Empty without one.
    /// </summary>
    public required IReadOnlyList<int> UniqueIndex { get; init; }

    /// <summary>
    /// Generated columns among those that identify the relation's old rows, as indexes into <see cref="Attributes"/>. Where the log
    /// lacks one, what it has of the identity is only a part.
    /// </summary>
    public IReadOnlyList<int> GeneratedIdentity { get; init; } = [];

    /// <summary>How the log identifies old rows of the partitions that have rows, each way once; empty for a table that has no partitions.</summary>
    public IReadOnlyList<ReplicaIdentity> PartitionIdentities { get; init; } = [];

    /// <summary>Types of the relation message's columns, in its order.</summary>
    public required IReadOnlyList<CatalogType> Types { get; init; }
}

/// <summary>A column as the catalog has it now.</summary>
/// <param name="Number">Its number, which is never given again.</param>
/// <param name="Name">Its name; meaningless when dropped.</param>
/// <param name="TypeOid">Oid of its type, the domain's where it is one; 0 when dropped.</param>
/// <param name="NotNull">Whether it is declared NOT NULL.</param>
/// <param name="Default">Its default in text form, where it is a constant.</param>
/// <param name="IsGenerated">Whether its values are computed from others: the log need not have it.</param>
/// <param name="IsSettled">Whether it is in this state, dropped or not, since before everything that the slot may still send.</param>
internal sealed record CatalogAttribute(
    int Number, string Name, uint TypeOid, bool NotNull, string? Default, bool IsGenerated = false, bool IsSettled = false)
{
    /// <summary>Whether it was dropped.</summary>
    public bool IsDropped => TypeOid == 0;
}

/// <summary>A column's type with domains resolved.</summary>
/// <param name="Oid">Oid of the base type.</param>
/// <param name="Modifier">Its modifier.</param>
/// <param name="Name">Its name as <c>format_type</c> gives it.</param>
/// <param name="Element">Type of its elements where it is an array.</param>
internal readonly record struct CatalogType(uint Oid, int Modifier, string Name, ElementSchema? Element);
