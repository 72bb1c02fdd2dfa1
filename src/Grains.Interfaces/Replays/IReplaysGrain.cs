using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Interfaces.Replays;

/// <summary>Starts, shows, pauses and ends replays. It has no state: any silo answers. Key: <see cref="Key"/>.</summary>
/// <remarks>Every method throws <see cref="Entities.EntityUnavailableException"/> while the control database does not answer.</remarks>
[Alias("cdc.IReplaysGrain")]
public interface IReplaysGrain : IGrainWithStringKey
{
    /// <summary>The key of the grain.</summary>
    const string Key = "replays";

    /// <summary>Starts a replay.</summary>
    [Alias("Start"), ResponseTimeout("00:00:40")]
    Task<ReplayStart> Start(ReplayOrder order, string who);

    /// <summary>Returns replays, the newest first.</summary>
    /// <param name="before">Those with a lower id; 0 for the newest.</param>
    /// <param name="limit">Most of them.</param>
    [Alias("List")]
    Task<ReplayView[]> List(long before, int limit);

    /// <summary>Returns a replay; null when there is none.</summary>
    [Alias("Get")]
    Task<ReplayView?> Get(long id);

    /// <summary>Pauses, resumes or cancels a replay. Returns it, with why it was not done; null when there is no such replay.</summary>
    [Alias("Decide")]
    Task<ReplayDecision?> Decide(long id, ReplayVerb verb, string who);
}

/// <summary>What a person does with a replay.</summary>
public enum ReplayVerb
{
    /// <summary>It stops until it is resumed.</summary>
    Pause,

    /// <summary>It goes on.</summary>
    Resume,

    /// <summary>It ends.</summary>
    Cancel,
}

/// <summary>A replay that is to be started.</summary>
/// <param name="Source">The source.</param>
/// <param name="Sink">The sink.</param>
/// <param name="Patterns">The tables, as <c>schema.table</c>; <c>*</c> stands for any text.</param>
/// <param name="Keys">The keys of the entities; null for all.</param>
/// <param name="Rate">Most rows per second.</param>
[GenerateSerializer, Immutable, Alias("cdc.ReplayOrder")]
public sealed record ReplayOrder(
    [property: Id(0)] string Source, [property: Id(1)] string Sink, [property: Id(2)] string[] Patterns, [property: Id(3)] string[]? Keys,
    [property: Id(4)] int Rate)
{
    /// <summary>The changes of the journal that are sent; null: the current rows.</summary>
    [Id(5)] public JournalWindow? Journal { get; init; }

    /// <summary>Rows per second when nothing else is said.</summary>
    public const int DefaultRate = 2000;

    /// <summary>Most rows per second.</summary>
    public const int MostRate = 100_000;

    /// <summary>Most keys.</summary>
    public const int MostKeys = 1000;
}

/// <summary>Why a replay is refused.</summary>
public enum ReplayRefusal
{
    /// <summary>No table is called so, or nothing is stored of it.</summary>
    UnknownTable,

    /// <summary>The rows of a table cannot be sent to the sink.</summary>
    NotReplayable,

    /// <summary>Another replay of one of the tables to the sink has not ended.</summary>
    Conflict,
}

/// <summary>What came of starting a replay.</summary>
/// <param name="Replay">The replay; null when it was refused.</param>
/// <param name="Refusal">Why it was refused.</param>
/// <param name="Detail">Why it was refused, with value and remedy.</param>
[GenerateSerializer, Immutable, Alias("cdc.ReplayStart")]
public sealed record ReplayStart([property: Id(0)] ReplayView? Replay, [property: Id(1)] ReplayRefusal Refusal = default, [property: Id(2)] string? Detail = null);

/// <summary>What came of a decision about a replay.</summary>
/// <param name="Replay">The replay afterwards.</param>
/// <param name="Refusal">Why nothing was done; null when it was.</param>
[GenerateSerializer, Immutable, Alias("cdc.ReplayDecision")]
public sealed record ReplayDecision([property: Id(0)] ReplayView Replay, [property: Id(1)] string? Refusal);

/// <summary>A replay, for people.</summary>
[GenerateSerializer, Immutable, Alias("cdc.ReplayView")]
public sealed record ReplayView
{
    /// <summary>Its number.</summary>
    [Id(0)] public required long Id { get; init; }

    /// <summary>The source.</summary>
    [Id(1)] public required string Source { get; init; }

    /// <summary>The sink.</summary>
    [Id(2)] public required string Sink { get; init; }

    /// <summary>Where the rows come from: held or journal.</summary>
    [Id(3)] public required string From { get; init; }

    /// <summary>running, paused, done, cancelled or failed.</summary>
    [Id(4)] public required string State { get; init; }

    /// <summary>Most rows per second.</summary>
    [Id(5)] public required int Rate { get; init; }

    /// <summary>Rows per second at last.</summary>
    [Id(6)] public required double Speed { get; init; }

    /// <summary>Why it failed; null when it did not.</summary>
    [Id(7)] public string? Error { get; init; }

    /// <summary>What it waits for; null when it waits for nothing.</summary>
    [Id(8)] public string? Waiting { get; init; }

    /// <summary>Who started it.</summary>
    [Id(9)] public required string Who { get; init; }

    /// <summary>When it was started.</summary>
    [Id(10)] public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>When its state or progress last changed.</summary>
    [Id(11)] public required DateTimeOffset UpdatedAt { get; init; }

    /// <summary>When it ended; null while it has not.</summary>
    [Id(12)] public DateTimeOffset? EndedAt { get; init; }

    /// <summary>The changes of the journal that are sent; null: the current rows.</summary>
    [Id(14)] public JournalWindow? Journal { get; init; }

    /// <summary>The tables, in order.</summary>
    [Id(13)] public required ReplayTableView[] Tables { get; init; }
}

/// <summary>One table of a replay, for people.</summary>
[GenerateSerializer, Immutable, Alias("cdc.ReplayTableView")]
public sealed record ReplayTableView
{
    /// <summary><c>schema.table</c>.</summary>
    [Id(0)] public required string Table { get; init; }

    /// <summary>Number of keys that were asked for; null for all rows.</summary>
    [Id(1)] public int? Keys { get; init; }

    /// <summary>How many rows there were at the start, roughly.</summary>
    [Id(2)] public required long RowsTotal { get; init; }

    /// <summary>Rows that are done.</summary>
    [Id(3)] public required long RowsDone { get; init; }

    /// <summary>Whether every row is done.</summary>
    [Id(4)] public required bool IsDone { get; init; }

    /// <summary>Rows that were sent.</summary>
    [Id(5)] public required long Sent { get; init; }

    /// <summary>Entities that were deleted meanwhile, or of which nothing is stored.</summary>
    [Id(6)] public required long Absent { get; init; }

    /// <summary>Entities whose row is not stored: it is too large, or damaged.</summary>
    [Id(7)] public required long WithoutRow { get; init; }

    /// <summary>Events that were parked.</summary>
    [Id(8)] public required long Parked { get; init; }

    /// <summary>Events that became dead letters.</summary>
    [Id(9)] public required long Refused { get; init; }
}
