using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Model.Entities;

/// <summary>Why the store has no row of an entity that has one.</summary>
public enum RowAbsence : byte
{
    /// <summary>It has the row, or there is none to store: the entity was deleted, or its table stores versions only.</summary>
    None,

    /// <summary>The row is larger than the store keeps.</summary>
    TooLarge,

    /// <summary>What is stored cannot be read any more.</summary>
    Unreadable,
}

/// <summary>The state of an entity: the last applied version and the current row. Immutable.</summary>
/// <param name="Version">The last applied version.</param>
/// <param name="Table">Schema of <paramref name="Row"/>.</param>
/// <param name="Row">The current row. Absent when <paramref name="Deleted"/>, and for tables with <c>entities: version</c>.</param>
/// <param name="Deleted">Whether the last change deleted the row. The state is then a delete marker.</param>
public sealed record EntityState(ChangeVersion Version, TableSchema Table, RowImage Row, bool Deleted)
{
    /// <summary>Why the row is absent although there is one.</summary>
    public RowAbsence Absence { get; init; }

    /// <summary>Approximate size in memory, in bytes.</summary>
    public int Size => 64 + Row.Size;
}
