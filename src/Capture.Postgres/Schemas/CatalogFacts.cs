using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>
/// What the catalog has of a relation and the log does not. The catalog may be newer than the part of the log that is read.
/// </summary>
internal sealed record CatalogFacts
{
    /// <summary>
    /// The attributes of the relation in the order of their creation, dropped ones included; empty when the relation does not exist any
    /// more.
    /// </summary>
    public required IReadOnlyList<CatalogAttribute> Attributes { get; init; }

    /// <summary>
    /// The columns of the primary key in its declared order, as indexes into <see cref="Attributes"/>; empty without one.
    /// </summary>
    public required IReadOnlyList<int> PrimaryKey { get; init; }

    /// <summary>
    /// The columns of the first unique index, by name, that can serve as a key: not partial, and on columns that are NOT NULL. Empty
    /// without one.
    /// </summary>
    public required IReadOnlyList<int> UniqueIndex { get; init; }

    /// <summary>
    /// The columns of the replica identity (DEFAULT or an index), as indexes into <see cref="Attributes"/>. When the log lacks one of them, because
    /// it is generated or the publication's column list leaves it out, it has only a part of the identity.
    /// </summary>
    public IReadOnlyList<int> Identity { get; init; } = [];

    /// <summary>
    /// Whether two rows could have the same key for a while in the transaction that is read: the key is checked late (DEFERRABLE), or its index
    /// is not older than the transaction, so the key may have been dropped and added again in it.
    /// </summary>
    public bool KeysMayRepeat { get; init; }

    /// <summary>The different replica identities of the partitions that store rows; empty for a table without partitions.</summary>
    public IReadOnlyList<ReplicaIdentity> PartitionIdentities { get; init; } = [];

    /// <summary>The origin of the relation's rows; null when the relation does not exist any more.</summary>
    public SeenOrigin? Origin { get; init; }

    /// <summary>
    /// Whether the transaction that altered the relation was not visible yet. Then only what is needed for right events is known: columns
    /// have no attribute numbers, and the origin is not known.
    /// </summary>
    public bool IsUnseen { get; init; }

    /// <summary>Whether the relation's files in the catalog come from a truncation by the transaction that is read.</summary>
    public bool IsTruncatedHere { get; init; }

    /// <summary>Types of the columns in the relation message, in its order.</summary>
    public required IReadOnlyList<CatalogType> Types { get; init; }
}

/// <summary>A column as the catalog has it now.</summary>
/// <param name="Number">Its attribute number, which is never used again.</param>
/// <param name="Name">Its name; without meaning when it was dropped.</param>
/// <param name="TypeOid">OID of its type, or of the domain; 0 when it was dropped.</param>
/// <param name="NotNull">Whether it is declared NOT NULL.</param>
/// <param name="Default">Its default in text form, if it is a constant.</param>
/// <param name="IsGenerated">Whether it is a generated column. The log may lack it.</param>
/// <param name="IsSettled">Whether it has been in this state, dropped or not, since before everything that the slot can still send.</param>
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
/// <param name="IsGone">Whether the catalog does not have the type any more. What is said of it may then be incomplete.</param>
internal readonly record struct CatalogType(uint Oid, int Modifier, string Name, ElementSchema? Element, bool IsGone = false);
