using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Interfaces.Backfills;

/// <summary>Starts, shows, pauses and ends backfills. It has no state: any silo answers. Key: <see cref="Key"/>.</summary>
/// <remarks>Every method throws <see cref="Entities.EntityUnavailableException"/> while the control database does not answer.</remarks>
[Alias("cdc.IBackfillsGrain")]
public interface IBackfillsGrain : IGrainWithStringKey
{
    /// <summary>The key of the grain.</summary>
    const string Key = "backfills";

    /// <summary>Starts a backfill, after its tables and its filter were checked at the source.</summary>
    [Alias("Start"), ResponseTimeout("00:00:40")]
    Task<BackfillStart> Start(BackfillOrder order, string who);

    /// <summary>
    /// Starts the first backfill of each table of a source that its configuration wants and that had none. Called by the reader of the source
    /// whenever it begins to stream, and when tables have joined the publication.
    /// </summary>
    /// <param name="source">The source.</param>
    /// <param name="tables">The captured tables, as <c>schema.table</c>.</param>
    [Alias("StartInitial"), ResponseTimeout("00:00:40")]
    Task StartInitial(string source, string[] tables);

    /// <summary>Returns backfills, the newest first.</summary>
    /// <param name="before">Those with a lower id; 0 for the newest.</param>
    /// <param name="limit">Most of them.</param>
    [Alias("List")]
    Task<BackfillView[]> List(long before, int limit);

    /// <summary>Returns a backfill; null when there is none.</summary>
    [Alias("Get")]
    Task<BackfillView?> Get(long id);

    /// <summary>Pauses, resumes or cancels a backfill. Returns it, with why it was not done; null when there is no such backfill.</summary>
    [Alias("Decide")]
    Task<BackfillDecision?> Decide(long id, BackfillVerb verb, string who);
}

/// <summary>What a person does with a backfill.</summary>
public enum BackfillVerb
{
    /// <summary>It stops until it is resumed.</summary>
    Pause,

    /// <summary>It goes on.</summary>
    Resume,

    /// <summary>It ends.</summary>
    Cancel,
}

/// <summary>A backfill that is to be started.</summary>
/// <param name="Source">The source.</param>
/// <param name="Kind">What it is for.</param>
/// <param name="Patterns">The tables, as <c>schema.table</c>; <c>*</c> stands for any text.</param>
[GenerateSerializer, Immutable, Alias("cdc.BackfillOrder")]
public sealed record BackfillOrder([property: Id(0)] string Source, [property: Id(1)] BackfillKind Kind, [property: Id(2)] string[] Patterns)
{
    /// <summary>The keys of the entities, in canonical text; null for all rows. With one table only.</summary>
    [Id(3)] public string[]? Keys { get; init; }

    /// <summary>A condition in SQL that rows must meet; null for all rows.</summary>
    [Id(4)] public string? Where { get; init; }

    /// <summary>Most rows per second; 0 for no limit.</summary>
    [Id(5)] public int Rate { get; init; }

    /// <summary>Highest <see cref="Rate"/>.</summary>
    public const int MostRate = BackfillOptions.MostRate;

    /// <summary>Most keys.</summary>
    public const int MostKeys = 1000;
}

/// <summary>Why a backfill is refused.</summary>
public enum BackfillRefusal
{
    /// <summary>No table is called so, or it is not captured.</summary>
    UnknownTable,

    /// <summary>The rows of a table cannot be merged or read, or the filter is not a condition.</summary>
    NotPossible,

    /// <summary>Another backfill of one of the tables has not ended.</summary>
    Conflict,

    /// <summary>The source does not answer.</summary>
    SourceUnavailable,
}

/// <summary>What came of starting a backfill.</summary>
/// <param name="Backfill">The backfill; null when it was refused.</param>
/// <param name="Refusal">Why it was refused.</param>
/// <param name="Detail">Why it was refused, with value and remedy.</param>
[GenerateSerializer, Immutable, Alias("cdc.BackfillStart")]
public sealed record BackfillStart([property: Id(0)] BackfillView? Backfill, [property: Id(1)] BackfillRefusal Refusal = default, [property: Id(2)] string? Detail = null);

/// <summary>What came of a decision about a backfill.</summary>
/// <param name="Backfill">The backfill afterwards.</param>
/// <param name="Refusal">Why nothing was done; null when it was.</param>
[GenerateSerializer, Immutable, Alias("cdc.BackfillDecision")]
public sealed record BackfillDecision([property: Id(0)] BackfillView Backfill, [property: Id(1)] string? Refusal);

/// <summary>A backfill, for people.</summary>
[GenerateSerializer, Immutable, Alias("cdc.BackfillView")]
public sealed record BackfillView
{
    /// <summary>Its number.</summary>
    [Id(0)] public required long Id { get; init; }

    /// <summary>The source.</summary>
    [Id(1)] public required string Source { get; init; }

    /// <summary>initial, rows, repair or verify.</summary>
    [Id(2)] public required string Kind { get; init; }

    /// <summary>running, paused, done, cancelled or failed.</summary>
    [Id(3)] public required string State { get; init; }

    /// <summary>Most rows per second; 0 for no limit.</summary>
    [Id(4)] public required int Rate { get; init; }

    /// <summary>Rows per second at last.</summary>
    [Id(5)] public required double Speed { get; init; }

    /// <summary>Why it failed; null when it did not.</summary>
    [Id(6)] public string? Error { get; init; }

    /// <summary>What it waits for; null when it waits for nothing.</summary>
    [Id(7)] public string? Waiting { get; init; }

    /// <summary>Who started it.</summary>
    [Id(8)] public required string Who { get; init; }

    /// <summary>When it was started.</summary>
    [Id(9)] public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>When its state or progress last changed.</summary>
    [Id(10)] public required DateTimeOffset UpdatedAt { get; init; }

    /// <summary>When it ended; null while it has not.</summary>
    [Id(11)] public DateTimeOffset? EndedAt { get; init; }

    /// <summary>The tables, in order.</summary>
    [Id(12)] public required BackfillTableView[] Tables { get; init; }
}

/// <summary>One table of a backfill, for people.</summary>
[GenerateSerializer, Immutable, Alias("cdc.BackfillTableView")]
public sealed record BackfillTableView
{
    /// <summary><c>schema.table</c>.</summary>
    [Id(0)] public required string Table { get; init; }

    /// <summary>The condition that rows must meet; null for all rows.</summary>
    [Id(1)] public string? Where { get; init; }

    /// <summary>Number of keys that were asked for; null for all rows.</summary>
    [Id(2)] public int? Keys { get; init; }

    /// <summary>How many rows there were at the start, by the server's statistics.</summary>
    [Id(3)] public required long RowsTotal { get; init; }

    /// <summary>Rows that were read.</summary>
    [Id(4)] public required long RowsDone { get; init; }

    /// <summary>Whether everything is done.</summary>
    [Id(5)] public required bool IsDone { get; init; }

    /// <summary>Rows that became events <c>r</c>.</summary>
    [Id(6)] public required long Sent { get; init; }

    /// <summary>Rows that the stream had told already, or that were as they are stored.</summary>
    [Id(7)] public required long Unchanged { get; init; }

    /// <summary>Rows that were not stored.</summary>
    [Id(8)] public required long Created { get; init; }

    /// <summary>Rows that differed from the stored ones.</summary>
    [Id(9)] public required long Updated { get; init; }

    /// <summary>Stored rows that do not exist any more.</summary>
    [Id(10)] public required long Deleted { get; init; }

    /// <summary>Events that were parked.</summary>
    [Id(11)] public required long Parked { get; init; }

    /// <summary>Events that became dead letters.</summary>
    [Id(12)] public required long Refused { get; init; }

    /// <summary>Why it could not be read to the end; null when it could, or is not done.</summary>
    [Id(13)] public string? Error { get; init; }
}
