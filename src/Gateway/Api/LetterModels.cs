using System.Text.Json.Serialization;

namespace CdcOrleans.Gateway.Api;

/// <summary>Dead letters, in the order of their ids.</summary>
/// <param name="DeadLetters">The dead letters, without their events.</param>
/// <param name="Next">The <c>after</c> of the next page; null when this is the last one.</param>
public sealed record DeadLetterList(IReadOnlyList<DeadLetterItem> DeadLetters, long? Next);

/// <summary>A dead letter: an event that its sink refused for good, or that was given up. Without the values of the row.</summary>
/// <param name="Id">Its number.</param>
/// <param name="Source">The source.</param>
/// <param name="Sink">The sink that refused it.</param>
/// <param name="Table">The table, as schema.table.</param>
/// <param name="Key">The entity's key in canonical text.</param>
/// <param name="Version">Version of the change: commit LSN and ordinal.</param>
/// <param name="Part">Number of the event among those of its change: a tombstone is 1.</param>
/// <param name="Topic">The topic.</param>
/// <param name="HasEvent">Whether there is an event. False when no format could write the change.</param>
/// <param name="SchemaVersion">Number of the table schema that the event follows; 0 when it is not known.</param>
/// <param name="Origin">Why the event was sent: stream, redelivery and so on.</param>
/// <param name="Attempts">How often it was tried.</param>
/// <param name="FirstFailedAt">When it was tried first.</param>
/// <param name="LastFailedAt">When it was refused, or given up.</param>
/// <param name="Error">The last error, in the words of the sink.</param>
/// <param name="Fingerprint">What went wrong: the same for the same sink, table and error, whatever its numbers and quoted texts.</param>
/// <param name="Bytes">Bytes of key and value.</param>
/// <param name="Redelivering">Whether it is being delivered again: its event is among the parked ones.</param>
public sealed record DeadLetterItem(
    long Id, string Source, string Sink, string Table, string Key, string Version, int Part, string Topic, bool HasEvent, int SchemaVersion, string Origin,
    int Attempts, DateTimeOffset FirstFailedAt, DateTimeOffset LastFailedAt, string Error, string Fingerprint, long Bytes, bool Redelivering);

/// <summary>A dead letter with its event.</summary>
/// <param name="DeadLetter">The dead letter.</param>
/// <param name="Event">Its event; null when there is none, or when it is too large to be shown.</param>
/// <param name="EventNotShown">Why the event is not shown; null when it is.</param>
public sealed record DeadLetterDetail(DeadLetterItem DeadLetter, DeadLetterEvent? Event, string? EventNotShown);

/// <summary>The event of a dead letter.</summary>
/// <param name="Key">Its key; null for none.</param>
/// <param name="Value">Its value; null for a tombstone.</param>
/// <param name="Headers">Headers of its format. The sink adds those named <c>cdc.*</c>.</param>
public sealed record DeadLetterEvent(EventContent? Key, EventContent? Value, IReadOnlyList<EventHeader> Headers);

/// <summary>Bytes of an event.</summary>
/// <param name="Text">The bytes as UTF-8 text; null when they are not text.</param>
/// <param name="Base64">The bytes in base64, when they are not text.</param>
public sealed record EventContent(string? Text, string? Base64);

/// <summary>A header of an event.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Value">Its value.</param>
public sealed record EventHeader(string Name, EventContent Value);

/// <summary>What went wrong, by sink and table, the most frequent first; 1000 at most.</summary>
/// <param name="Groups">The groups.</param>
public sealed record DeadLetterGroups(IReadOnlyList<DeadLetterGroup> Groups);

/// <summary>Dead letters of one sink and table that failed for the same reason.</summary>
/// <param name="Fingerprint">What they have in common.</param>
/// <param name="Source">The source.</param>
/// <param name="Sink">The sink.</param>
/// <param name="Table">The table, as schema.table.</param>
/// <param name="Error">Error of the newest one.</param>
/// <param name="Count">Number of dead letters.</param>
/// <param name="FirstFailedAt">When the first of them was tried first.</param>
/// <param name="LastFailedAt">When the last of them was refused.</param>
public sealed record DeadLetterGroup(
    string Fingerprint, string Source, string Sink, string Table, string Error, long Count, DateTimeOffset FirstFailedAt, DateTimeOffset LastFailedAt);

/// <summary>Which dead letters are delivered again, and as what.</summary>
/// <param name="Ids">Their ids, 1000 at most; or <paramref name="Fingerprint"/>.</param>
/// <param name="Fingerprint">A group; or <paramref name="Ids"/>.</param>
/// <param name="Sink">Only those of this sink; null for all.</param>
/// <param name="After">Of a group, those with a higher id: the <c>last</c> of the answer before.</param>
/// <param name="As">What is sent: <c>event</c>, the stored event (default), or <c>current</c>, the entity's current row.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record RedeliverRequest(IReadOnlyList<long>? Ids, string? Fingerprint, string? Sink, long? After, string? As);

/// <summary>Which dead letters are deleted.</summary>
/// <param name="Ids">Their ids, 1000 at most; or <paramref name="Fingerprint"/>.</param>
/// <param name="Fingerprint">A group; or <paramref name="Ids"/>.</param>
/// <param name="Sink">Only those of this sink; null for all.</param>
/// <param name="After">Of a group, those with a higher id: the <c>last</c> of the answer before.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record DiscardRequest(IReadOnlyList<long>? Ids, string? Fingerprint, string? Sink, long? After);

/// <summary>What came of a decision about dead letters; 1000 of a group at a time.</summary>
/// <param name="Accepted">How many were deleted, or are on their way again. What comes of these shows in the list.</param>
/// <param name="Refused">Those that stay as they are, each with the reason.</param>
/// <param name="Unknown">Ids without a dead letter.</param>
/// <param name="Last">The last id that was looked at.</param>
/// <param name="HasMore">Whether the group has more: repeat the request with <c>after</c>.</param>
public sealed record DecisionAnswer(int Accepted, IReadOnlyList<RefusedLetter> Refused, IReadOnlyList<long> Unknown, long Last, bool HasMore);

/// <summary>A dead letter that stays as it is.</summary>
/// <param name="Id">The dead letter.</param>
/// <param name="Reason">Why, and what can be done.</param>
public sealed record RefusedLetter(long Id, string Reason);

/// <summary>Entities with parked events, in the order of their ids.</summary>
/// <param name="Parked">The entities, one for each sink.</param>
/// <param name="Next">The <c>after</c> of the next page; null when this is the last one.</param>
public sealed record ParkedList(IReadOnlyList<ParkedItem> Parked, long? Next);

/// <summary>The parked events of one entity at one sink. Without the events.</summary>
/// <param name="Id">Its number, which it keeps while events are parked.</param>
/// <param name="Source">The source.</param>
/// <param name="Sink">The sink.</param>
/// <param name="Table">The table, as schema.table.</param>
/// <param name="Key">The entity's key in canonical text.</param>
/// <param name="Events">Number of events.</param>
/// <param name="Bytes">Bytes of the events.</param>
/// <param name="Attempts">Attempts of the oldest event.</param>
/// <param name="FirstTriedAt">When the oldest event was tried first.</param>
/// <param name="DueAt">When it is tried next.</param>
/// <param name="LastError">The last failure; null when nothing was tried yet.</param>
/// <param name="Blocked">Whether they wait until somebody decides about a dead letter of the entity.</param>
public sealed record ParkedItem(
    long Id, string Source, string Sink, string Table, string Key, int Events, long Bytes, int Attempts, DateTimeOffset FirstTriedAt, DateTimeOffset DueAt,
    string? LastError, bool Blocked);

/// <summary>Which parked events are tried now.</summary>
/// <param name="Sink">Those for this sink.</param>
/// <param name="Source">Only those of this source; null for all.</param>
/// <param name="Table">Only those of this table, as schema.table; null for all.</param>
/// <param name="Key">Only those of this entity; null for all.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record RetryRequest(string? Sink, string? Source, string? Table, string? Key);

/// <summary>How many entities are tried now.</summary>
/// <param name="Entities">Number of entities.</param>
public sealed record RetryAnswer(int Entities);

/// <summary>Who changed what, the newest first.</summary>
/// <param name="Entries">The entries.</param>
/// <param name="Next">The <c>after</c> of the next page, which has older entries; null when this is the last one.</param>
public sealed record AuditList(IReadOnlyList<AuditItem> Entries, long? Next);

/// <summary>One change through the API.</summary>
/// <param name="Id">Its number.</param>
/// <param name="At">When.</param>
/// <param name="Who">The address from which it came.</param>
/// <param name="Operation">What was done.</param>
/// <param name="Arguments">With which arguments, as JSON; without row data.</param>
/// <param name="Result">What came of it.</param>
public sealed record AuditItem(long Id, DateTimeOffset At, string Who, string Operation, string Arguments, string Result);
