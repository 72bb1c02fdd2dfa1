using CdcOrleans.Grains.Interfaces.Schemas;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>What the catalog knows of a relation and the log does not say. The catalog may be ahead of the log.</summary>
internal sealed record CatalogFacts
{
    /// <summary>Whether the relation still exists.</summary>
    public required bool Exists { get; init; }

    /// <summary>The primary key's columns in its declared order; empty without one.</summary>
    public required IReadOnlyList<string> PrimaryKey { get; init; }

    /// <summary>
    /// The columns of the first unique index, by name, that can stand for a key: whole, on columns that are NOT NULL. Empty without one.
    /// </summary>
    public required IReadOnlyList<string> UniqueIndex { get; init; }

    /// <summary>Names of columns declared NOT NULL.</summary>
    public required IReadOnlySet<string> NotNull { get; init; }

    /// <summary>Defaults of columns that have a constant one, in text form.</summary>
    public required IReadOnlyDictionary<string, string> Defaults { get; init; }

    /// <summary>Types of the relation message's columns, in its order.</summary>
    public required IReadOnlyList<CatalogType> Types { get; init; }
}

/// <summary>A column's type with domains resolved.</summary>
/// <param name="Oid">Oid of the base type.</param>
/// <param name="Modifier">Its modifier.</param>
/// <param name="Name">Its name as <c>format_type</c> gives it.</param>
/// <param name="Element">Type of its elements where it is an array.</param>
internal readonly record struct CatalogType(uint Oid, int Modifier, string Name, ElementSchema? Element);
