using System.Text.Json;

namespace CdcOrleans.Gateway.Api;

/// <summary>Changes of an entity, the newest first.</summary>
/// <param name="Source">The source.</param>
/// <param name="Table">The table, as schema.table.</param>
/// <param name="Key">The key in canonical text.</param>
/// <param name="Changes">The changes.</param>
/// <param name="Next">The <c>after</c> of the next page, which has older changes; null when this is the last one.</param>
public sealed record EntityHistory(string Source, string Table, string Key, IReadOnlyList<EntityChange> Changes, string? Next);

/// <summary>A change of an entity, or a truncation of its table.</summary>
/// <param name="Version">Its version: commit LSN and ordinal.</param>
/// <param name="Lsn">Position of the commit record of its transaction.</param>
/// <param name="CommittedAt">When its transaction was committed, by the clock of the source.</param>
/// <param name="Xid">Id of its transaction.</param>
/// <param name="Operation">create, update, delete, or truncate.</param>
/// <param name="SchemaVersion">Number of the table schema that the row follows.</param>
/// <param name="Row">The row after the change, values as in events; null after a deletion or truncation, and when it cannot be shown.</param>
/// <param name="Differences">
/// The columns that the change changed; of a deletion, those of the row that are known; empty for a creation. Null when the row before the
/// change is not known: the table stores no rows, or the log had changes before that were not captured.
/// </param>
/// <param name="OtherKey">For a change of the key, which deletes one entity and creates another: the key of the other one.</param>
/// <param name="RowNotStored">Why rows are not shown: <c>tooLarge</c>, or <c>unreadable</c> when what is stored is damaged; else null.</param>
public sealed record EntityChange(
    string Version, string Lsn, DateTimeOffset CommittedAt, uint Xid, string Operation, int SchemaVersion, JsonElement? Row,
    IReadOnlyList<EntityDifference>? Differences, string? OtherKey, string? RowNotStored);

/// <summary>A column that a change changed. A value that is not known is the placeholder, as in events.</summary>
/// <param name="Column">Its name.</param>
/// <param name="Before">The value before the change; null when it was NULL, or when the column did not exist.</param>
/// <param name="After">The value after it; null when it is NULL, and after a deletion.</param>
public sealed record EntityDifference(string Column, JsonElement? Before, JsonElement? After);

/// <summary>The journals.</summary>
/// <param name="Journals">The journals, by source and table.</param>
public sealed record JournalList(IReadOnlyList<JournalItem> Journals);

/// <summary>The journal of a table.</summary>
/// <param name="Source">The source.</param>
/// <param name="Table">The table, as schema.table.</param>
/// <param name="Segments">Number of its segments; the oldest is deleted as a whole.</param>
/// <param name="Bytes">Bytes in the control database, measured once a minute.</param>
/// <param name="Oldest">A time less than a minute before its oldest change; null when it is empty.</param>
public sealed record JournalItem(string Source, string Table, int Segments, long Bytes, DateTimeOffset? Oldest);
