using System.Text.Json.Serialization;

namespace CdcOrleans.Gateway.Api;

/// <summary>A replay that is to be started: rows are sent again to one sink.</summary>
/// <param name="Source">The source.</param>
/// <param name="Sink">The sink.</param>
/// <param name="Tables">The tables, as schema.table; * stands for any text.</param>
/// <param name="Keys">Only the entities with these keys, in canonical text, 1000 at most; null for all rows. With one table.</param>
/// <param name="From">Where the rows come from: held (the current row of each entity), which is the default, or journal (past changes).</param>
/// <param name="Since">With 'journal': changes that were committed at this time (ISO 8601) or LSN or later; null for all.</param>
/// <param name="Until">With 'journal': changes that were committed before this time or LSN; null for all. The last change of each entity is sent too.</param>
/// <param name="Rate">Most rows, or changes, per second, 1 to 100000; 2000 by default.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record ReplayRequest(
    string? Source, string? Sink, IReadOnlyList<string>? Tables, IReadOnlyList<string>? Keys, string? From, string? Since, string? Until, int? Rate);

/// <summary>Replays, the newest first.</summary>
/// <param name="Replays">The replays.</param>
/// <param name="Next">The <c>after</c> of the next page, which has older ones; null when this is the last one.</param>
public sealed record ReplayList(IReadOnlyList<ReplayItem> Replays, long? Next);

/// <summary>A replay.</summary>
/// <param name="Id">Its number.</param>
/// <param name="Source">The source.</param>
/// <param name="Sink">The sink.</param>
/// <param name="From">Where the rows come from: held or journal.</param>
/// <param name="State">running, paused, done, cancelled or failed.</param>
/// <param name="Rate">Most rows per second.</param>
/// <param name="RowsPerSecond">Rows per second at last.</param>
/// <param name="RowsTotal">How many rows there were at the start, roughly.</param>
/// <param name="RowsDone">Rows that are done: sent, or not to be sent.</param>
/// <param name="Sent">Rows that were sent.</param>
/// <param name="Absent">Entities that were deleted meanwhile, or of which nothing is stored. Nothing is sent for them.</param>
/// <param name="WithoutRow">Entities that have a row which is not stored: it is too large, or damaged. Nothing is sent for them.</param>
/// <param name="Parked">Events that were parked.</param>
/// <param name="DeadLetters">Events that became dead letters.</param>
/// <param name="Error">Why it failed; null when it did not.</param>
/// <param name="Waiting">What it waits for, such as a sink that is out of reach; null when it waits for nothing.</param>
/// <param name="StartedBy">Who started it.</param>
/// <param name="CreatedAt">When it was started.</param>
/// <param name="UpdatedAt">When its state or progress last changed.</param>
/// <param name="EndedAt">When it ended; null while it has not.</param>
/// <param name="Since">The lower bound of the changes; null for none.</param>
/// <param name="Until">The upper bound of the changes, which is not included; null for none.</param>
/// <param name="Tables">The tables, in order.</param>
public sealed record ReplayItem(
    long Id, string Source, string Sink, string From, string State, int Rate, double RowsPerSecond, long RowsTotal, long RowsDone, long Sent, long Absent,
    long WithoutRow, long Parked, long DeadLetters, string? Error, string? Waiting, string StartedBy, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt,
    DateTimeOffset? EndedAt, string? Since, string? Until, IReadOnlyList<ReplayTableItem> Tables);

/// <summary>One table of a replay.</summary>
/// <param name="Table">The table, as schema.table.</param>
/// <param name="Keys">Number of keys that were asked for; null for all rows.</param>
/// <param name="Done">Whether every row is done.</param>
/// <param name="RowsTotal">How many rows there were at the start, roughly.</param>
/// <param name="RowsDone">Rows that are done.</param>
/// <param name="Sent">Rows that were sent.</param>
/// <param name="Absent">Entities that were deleted meanwhile, or of which nothing is stored.</param>
/// <param name="WithoutRow">Entities whose row is not stored.</param>
/// <param name="Parked">Events that were parked.</param>
/// <param name="DeadLetters">Events that became dead letters.</param>
public sealed record ReplayTableItem(
    string Table, int? Keys, bool Done, long RowsTotal, long RowsDone, long Sent, long Absent, long WithoutRow, long Parked, long DeadLetters);
