using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Model.Entities;

/// <summary>What is held of an entity: the last applied version and the row it left. Immutable.</summary>
/// <param name="Version">The last applied version.</param>
/// <param name="Table">Shape of <paramref name="Row"/>.</param>
/// <param name="Row">The current row; absent when <paramref name="Deleted"/>, and where the table holds versions only.</param>
/// <param name="Deleted">Whether the last change deleted the entity: a delete marker.</param>
public sealed record EntityState(ChangeVersion Version, TableSchema Table, RowImage Row, bool Deleted)
{
    /// <summary>Bytes kept in memory, roughly.</summary>
    public int Size => 64 + Row.Size;
}
