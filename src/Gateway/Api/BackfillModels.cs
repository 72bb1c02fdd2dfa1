using System.Text.Json.Serialization;

namespace CdcOrleans.Gateway.Api;

/// <summary>A backfill that is to be started: existing rows are read at the source.</summary>
/// <param name="Source">The source.</param>
/// <param name="Tables">The tables, as schema.table; * stands for any text.</param>
/// <param name="Keys">Only the entities with these keys, in canonical text, 1000 at most; null for all rows. With one table, and without 'where'.</param>
/// <param name="Where">Only rows that meet this condition in SQL, on the table's columns, 10000 characters at most; null for all rows.</param>
/// <param name="Kind">What it is for: rows (each becomes an event), which is the default; repair (only what differs from the stored rows); verify (what differs is counted).</param>
/// <param name="Rate">Most rows per second, 0 to 1000000; 0, the default, for no limit.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record BackfillRequest(
    string? Source, IReadOnlyList<string>? Tables, IReadOnlyList<string>? Keys, string? Where, string? Kind, int? Rate);

/// <summary>Backfills, the newest first.</summary>
/// <param name="Backfills">The backfills.</param>
/// <param name="Next">The <c>after</c> of the next page, which has older ones; null when this is the last one.</param>
public sealed record BackfillList(IReadOnlyList<BackfillItem> Backfills, long? Next);

/// <summary>A backfill.</summary>
/// <param name="Id">Its number.</param>
/// <param name="Source">The source.</param>
/// <param name="Kind">initial, rows, repair or verify.</param>
/// <param name="State">running, paused, done, cancelled or failed.</param>
/// <param name="Rate">Most rows per second; 0 for no limit.</param>
/// <param name="RowsPerSecond">Rows per second at last.</param>
/// <param name="RowsTotal">How many rows there were at the start, roughly.</param>
/// <param name="RowsDone">Rows that were read.</param>
/// <param name="Percent">How much of it is done, roughly; 100 only when it is done.</param>
/// <param name="SecondsLeft">How long it takes yet, roughly; null when that is not known, or it does not run.</param>
/// <param name="Sent">Rows that became events with the operation r.</param>
/// <param name="Unchanged">Rows that the stream had told already, or that were as they are stored.</param>
/// <param name="Created">Rows that were not stored.</param>
/// <param name="Updated">Rows that differed from the stored ones.</param>
/// <param name="Deleted">Stored rows that do not exist any more.</param>
/// <param name="Parked">Events that were parked.</param>
/// <param name="DeadLetters">Events that became dead letters.</param>
/// <param name="Error">Why it failed; null when it did not.</param>
/// <param name="Waiting">What it waits for, such as open transactions of the source; null when it waits for nothing.</param>
/// <param name="StartedBy">Who started it.</param>
/// <param name="CreatedAt">When it was started.</param>
/// <param name="UpdatedAt">When its state or progress last changed.</param>
/// <param name="EndedAt">When it ended; null while it has not.</param>
/// <param name="Tables">The tables, in order.</param>
public sealed record BackfillItem(
    long Id, string Source, string Kind, string State, int Rate, double RowsPerSecond, long RowsTotal, long RowsDone, int Percent, long? SecondsLeft, long Sent,
    long Unchanged, long Created, long Updated, long Deleted, long Parked, long DeadLetters, string? Error, string? Waiting, string StartedBy,
    DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt, DateTimeOffset? EndedAt, IReadOnlyList<BackfillTableItem> Tables);

/// <summary>One table of a backfill.</summary>
/// <param name="Table">The table, as schema.table.</param>
/// <param name="Where">The condition that rows must meet; null for all rows.</param>
/// <param name="Keys">Number of keys that were asked for; null for all rows.</param>
/// <param name="Done">Whether everything is done.</param>
/// <param name="RowsTotal">How many rows there were at the start, by the server's statistics.</param>
/// <param name="RowsDone">Rows that were read.</param>
/// <param name="Sent">Rows that became events with the operation r.</param>
/// <param name="Unchanged">Rows that the stream had told already, or that were as they are stored.</param>
/// <param name="Created">Rows that were not stored.</param>
/// <param name="Updated">Rows that differed from the stored ones.</param>
/// <param name="Deleted">Stored rows that do not exist any more.</param>
/// <param name="Parked">Events that were parked.</param>
/// <param name="DeadLetters">Events that became dead letters.</param>
/// <param name="Error">Why it could not be read to the end; null when it could, or is not done.</param>
public sealed record BackfillTableItem(
    string Table, string? Where, int? Keys, bool Done, long RowsTotal, long RowsDone, long Sent, long Unchanged, long Created, long Updated, long Deleted,
    long Parked, long DeadLetters, string? Error);
