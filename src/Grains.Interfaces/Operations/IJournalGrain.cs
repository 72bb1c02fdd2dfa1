using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;

namespace CdcOrleans.Grains.Interfaces.Operations;

/// <summary>Shows people and programs what is in the journals. It has no state: any silo answers. Key: <see cref="Key"/>.</summary>
/// <remarks>Every method throws <see cref="Entities.EntityUnavailableException"/> while the control database does not answer.</remarks>
[Alias("cdc.IJournalGrain")]
public interface IJournalGrain : IGrainWithStringKey
{
    /// <summary>The key of the grain.</summary>
    const string Key = "journal";

    /// <summary>Returns changes of an entity from the journal of its table, the newest first. What is not durable yet is not among them.</summary>
    [Alias("GetHistory")]
    Task<HistoryPage> GetHistory(HistoryQuestion question);

    /// <summary>Returns the journals that there are.</summary>
    [Alias("ListJournals")]
    Task<JournalFigures[]> ListJournals();
}

/// <summary>Which changes of an entity are asked for.</summary>
/// <param name="Entity">The entity.</param>
/// <param name="After">Position of the last change of the page before; null for the first page.</param>
/// <param name="Limit">Most changes.</param>
/// <param name="SinceTime">Committed at this time or later; null for any.</param>
/// <param name="UntilTime">Committed before this time; null for any.</param>
/// <param name="SinceLsn">Commit record at this position or later; null for any.</param>
/// <param name="UntilLsn">Commit record before this position; null for any.</param>
[GenerateSerializer, Immutable, Alias("cdc.HistoryQuestion")]
public sealed record HistoryQuestion(
    [property: Id(0)] EntityId Entity, [property: Id(1)] string? After, [property: Id(2)] int Limit, [property: Id(3)] DateTimeOffset? SinceTime = null,
    [property: Id(4)] DateTimeOffset? UntilTime = null, [property: Id(5)] Lsn? SinceLsn = null, [property: Id(6)] Lsn? UntilLsn = null);

/// <summary>Changes of an entity.</summary>
/// <param name="Changes">The changes, the newest first.</param>
/// <param name="HasMore">Whether there may be older ones.</param>
[GenerateSerializer, Immutable, Alias("cdc.HistoryPage")]
public sealed record HistoryPage([property: Id(0)] HistoryEntry[] Changes, [property: Id(1)] bool HasMore);

/// <summary>One change of an entity as shown to people and programs. Values are JSON texts as in events.</summary>
[GenerateSerializer, Immutable, Alias("cdc.HistoryEntry")]
public sealed record HistoryEntry
{
    /// <summary>Its position in the journal, for the next page.</summary>
    [Id(0)] public required string Position { get; init; }

    /// <summary>Its version.</summary>
    [Id(1)] public required ChangeVersion Version { get; init; }

    /// <summary>When its transaction was committed, by the clock of the source.</summary>
    [Id(2)] public required DateTimeOffset CommittedAt { get; init; }

    /// <summary>Id of its transaction.</summary>
    [Id(3)] public required uint Xid { get; init; }

    /// <summary>What happened.</summary>
    [Id(4)] public required ChangeOperation Operation { get; init; }

    /// <summary>Number of the table schema that <see cref="Row"/> follows.</summary>
    [Id(5)] public required int SchemaVersion { get; init; }

    /// <summary>The row after the change; null for deletions and truncations, and when it is too large to be shown.</summary>
    [Id(6)] public string? Row { get; init; }

    /// <summary>What changed; null when the row before the change is not known or too large.</summary>
    [Id(7)] public ColumnDifference[]? Differences { get; init; }

    /// <summary>For a change of the key: the new key of a deletion, and the former key of a creation.</summary>
    [Id(8)] public string? OtherKey { get; init; }

    /// <summary>Why the rows are not shown: they are too large, or what is stored of them is damaged.</summary>
    [Id(9)] public RowAbsence RowAbsence { get; init; }
}

/// <summary>A column that a change changed.</summary>
/// <param name="Column">Its name.</param>
/// <param name="Before">The value before, as JSON; null for none.</param>
/// <param name="After">The value after, as JSON; null for none.</param>
[GenerateSerializer, Immutable, Alias("cdc.ColumnDifference")]
public sealed record ColumnDifference([property: Id(0)] string Column, [property: Id(1)] string? Before, [property: Id(2)] string? After);

/// <summary>What there is of a journal.</summary>
/// <param name="Source">The source.</param>
/// <param name="Table">The table, as schema.table.</param>
/// <param name="Segments">Number of its segments.</param>
/// <param name="Bytes">Bytes in the control database, measured once a minute.</param>
/// <param name="Oldest">A time shortly before its oldest change; null when it is empty.</param>
[GenerateSerializer, Immutable, Alias("cdc.JournalFigures")]
public sealed record JournalFigures(
    [property: Id(0)] string Source, [property: Id(1)] string Table, [property: Id(2)] int Segments, [property: Id(3)] long Bytes,
    [property: Id(4)] DateTimeOffset? Oldest);
