using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Model.Schemas;

/// <summary>
/// One record in the history of a relation: its table schema and its mode of entities, valid from a version on. The key is not always in
/// the log, and the catalog has only the current one. So a reader that reads a part of the log a second time uses this record.
/// </summary>
/// <param name="From">The record is valid for changes after this version.</param>
/// <param name="Table">The table schema, with the key.</param>
/// <param name="Entities">What is stored of each entity of the table.</param>
/// <param name="Forgotten">
/// Numbers of the tables whose stored rows are no longer valid from this version on. The relation has another name, key, mode or origin of
/// its rows than before, or another relation had the name of the table.
/// </param>
public sealed record RelationRecord(ChangeVersion From, TableSchema Table, EntityMode Entities, IReadOnlyList<int> Forgotten)
{
    /// <summary>The origin of the rows; null when it is not known.</summary>
    public RowsOrigin? Origin { get; init; }

    /// <summary>
    /// Position of the log when <see cref="Origin"/> was first seen in the catalog. What made it so is in the log before this position, and
    /// may come after <see cref="From"/>.
    /// </summary>
    public Lsn OriginSeen { get; init; }
}
