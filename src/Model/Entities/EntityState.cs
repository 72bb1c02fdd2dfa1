using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Model.Entities;

/// <summary>The state of an entity: the last applied version and the current row. Immutable.</summary>
/// <param name="Version">The last applied version.</param>
/// <param name="Table">Schema of <paramref name="Row"/>.</param>
/// <param name="Row">The current row. Absent when <paramref name="Deleted"/>, and for tables with <c>entities: version</c>.</param>
/// <param name="Deleted">Whether the last change deleted the row. The state is then a delete marker.</param>
public sealed record EntityState(ChangeVersion Version, TableSchema Table, RowImage Row, bool Deleted)
{
    /// <summary>Approximate size in memory, in bytes.</summary>
    public int Size => 64 + Row.Size;
}
