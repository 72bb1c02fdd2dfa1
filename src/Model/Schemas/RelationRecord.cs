using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Model.Schemas;

/// <summary>
/// What a relation stands for from a version of the log on: its table, key and shape, and what is held of its rows. The log itself does
/// not always tell the key, and the catalog tells today's: who reads a stretch of the log again takes from here what was so then.
/// </summary>
/// <param name="From">It is so for changes after this version.</param>
/// <param name="Table">The table.</param>
/// <param name="Entities">What its entities hold.</param>
/// <param name="Forgotten">
/// Tables of whose rows nothing that was held before is true any more: the relation has another name, key or mode than before, or the
/// table was another relation's.
/// </param>
public sealed record RelationRecord(ChangeVersion From, TableSchema Table, EntityMode Entities, IReadOnlyList<int> Forgotten);
