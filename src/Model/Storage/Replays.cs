namespace CdcOrleans.Model.Storage;

/// <summary>What a replay is doing.</summary>
public enum ReplayState
{
    /// <summary>Rows are being sent.</summary>
    Running,

    /// <summary>A person paused it. It goes on where it was.</summary>
    Paused,

    /// <summary>Every row was delivered, parked or given up.</summary>
    Done,

    /// <summary>A person ended it.</summary>
    Cancelled,

    /// <summary>It cannot go on; its error says why.</summary>
    Failed,
}

/// <summary>Replays, their progress, and the stored keys that they read. Safe for concurrent use.</summary>
/// <remarks>Every method throws <see cref="StateUnavailableException"/> while the control database does not answer.</remarks>
public interface IReplayStore
{
    /// <summary>Adds a replay, which is then running. Returns it, or the replay that has one of its tables and its sink already.</summary>
    Task<(StoredReplay Replay, bool IsNew)> Add(StoredReplay replay, CancellationToken cancellation);

    /// <summary>Returns replays, the newest first.</summary>
    /// <param name="before">Those with a lower id; 0 for the newest.</param>
    /// <param name="limit">Most of them.</param>
    /// <param name="cancellation">Cancels.</param>
    Task<IReadOnlyList<StoredReplay>> List(long before, int limit, CancellationToken cancellation);

    /// <summary>Returns a replay; null when there is none.</summary>
    Task<StoredReplay?> Get(long id, CancellationToken cancellation);

    /// <summary>Returns the ids of the running replays.</summary>
    Task<IReadOnlyList<long>> Running(CancellationToken cancellation);

    /// <summary>Changes the state of a replay, if it has one of some states. Returns whether it did.</summary>
    Task<bool> Change(long id, IReadOnlyCollection<ReplayState> from, ReplayState to, CancellationToken cancellation);

    /// <summary>Begins to run a replay: whoever ran it before writes nothing any more. Null when it is not running.</summary>
    Task<StoredReplay?> Begin(long id, CancellationToken cancellation);

    /// <summary>Writes the progress of a table. Returns the state of the replay; null when somebody else runs it.</summary>
    /// <param name="replay">The replay, as <see cref="Begin"/> returned it.</param>
    /// <param name="table">The table with its progress.</param>
    /// <param name="waiting">What the replay waits for; null when it waits for nothing.</param>
    /// <param name="speed">Rows per second.</param>
    /// <param name="cancellation">Cancels.</param>
    Task<ReplayState?> Save(StoredReplay replay, ReplayTable table, string? waiting, double speed, CancellationToken cancellation);

    /// <summary>Ends a running replay. Does nothing when somebody else runs it, or when a person ended it.</summary>
    /// <param name="replay">The replay, as <see cref="Begin"/> returned it.</param>
    /// <param name="error">Why it failed; null when it is done.</param>
    /// <param name="cancellation">Cancels.</param>
    Task End(StoredReplay replay, string? error, CancellationToken cancellation);

    /// <summary>Returns the names of the tables of a source that the schema store knows.</summary>
    Task<IReadOnlyList<string>> Tables(string source, CancellationToken cancellation);

    /// <summary>Estimates how many entities of a table are stored. Exact for small tables.</summary>
    Task<long> Estimate(string source, string table, CancellationToken cancellation);

    /// <summary>Returns keys of the stored entities of a table, in their order in the store.</summary>
    /// <param name="source">The source.</param>
    /// <param name="table"><c>schema.table</c>.</param>
    /// <param name="after">Those after this stored key; null from the first.</param>
    /// <param name="most">Most of them.</param>
    /// <param name="cancellation">Cancels.</param>
    Task<HeldKeys> ReadKeys(string source, string table, string? after, int most, CancellationToken cancellation);

    /// <summary>As <see cref="ReadKeys"/>, but only the keys of entities whose stored rows lack values that the log has left out.</summary>
    /// <param name="source">The source.</param>
    /// <param name="table"><c>schema.table</c>.</param>
    /// <param name="after">Those after this stored key; null from the first.</param>
    /// <param name="most">How many stored keys are looked at.</param>
    /// <param name="cancellation">Cancels.</param>
    Task<HeldKeys> ReadIncomplete(string source, string table, string? after, int most, CancellationToken cancellation);
}

/// <summary>Keys of stored entities.</summary>
/// <param name="Keys">The entities that are not deleted, by their canonical keys.</param>
/// <param name="Unknown">Entities whose key is not known: it is long, and the stored row does not have it any more.</param>
/// <param name="After">The last stored key that was read; null when there was none.</param>
public sealed record HeldKeys(IReadOnlyList<string> Keys, int Unknown, string? After);

/// <summary>A replay: rows that are sent again to one sink.</summary>
public sealed record StoredReplay
{
    /// <summary>Its number; 0 before it is stored.</summary>
    public long Id { get; init; }

    /// <summary>The source.</summary>
    public required string Source { get; init; }

    /// <summary>The sink.</summary>
    public required string Sink { get; init; }

    /// <summary>Where the rows come from: <c>held</c>, or <c>journal</c>.</summary>
    public required string From { get; init; }

    /// <summary>Which changes of the journal are sent.</summary>
    public JournalWindow Window { get; init; } = JournalWindow.All;

    /// <summary>The patterns of the tables, as they were asked for.</summary>
    public required IReadOnlyList<string> Patterns { get; init; }

    /// <summary>Most rows per second.</summary>
    public required int Rate { get; init; }

    /// <summary>Who started it.</summary>
    public required string Who { get; init; }

    /// <summary>The tables, in order, with their progress.</summary>
    public required IReadOnlyList<ReplayTable> Tables { get; init; }

    /// <summary>What it is doing.</summary>
    public ReplayState State { get; init; }

    /// <summary>Why it failed; null when it did not.</summary>
    public string? Error { get; init; }

    /// <summary>What it waits for; null when it waits for nothing.</summary>
    public string? Waiting { get; init; }

    /// <summary>Rows per second at last.</summary>
    public double Speed { get; init; }

    /// <summary>How often a silo has begun to run it.</summary>
    public long Run { get; init; }

    /// <summary>When it was started.</summary>
    public DateTimeOffset CreatedAt { get; init; }

    /// <summary>When its state or progress last changed.</summary>
    public DateTimeOffset UpdatedAt { get; init; }

    /// <summary>When it ended; null while it has not.</summary>
    public DateTimeOffset? EndedAt { get; init; }
}

/// <summary>One table of a replay, with the progress.</summary>
public sealed record ReplayTable
{
    /// <summary>Its place among the tables of the replay, from 0.</summary>
    public required int Place { get; init; }

    /// <summary><c>schema.table</c>.</summary>
    public required string Table { get; init; }

    /// <summary>The keys of the entities that are replayed; null for all.</summary>
    public IReadOnlyList<string>? Keys { get; init; }

    /// <summary>How many rows there were at the start, roughly.</summary>
    public long RowsTotal { get; init; }

    /// <summary>Whether what was not durable at the start is done.</summary>
    public bool IsBegun { get; init; }

    /// <summary>The last key that is done, or position of the journal; null before the first.</summary>
    public string? After { get; init; }

    /// <summary>Whether every row is done.</summary>
    public bool IsDone { get; init; }

    /// <summary>Entities that are done.</summary>
    public long RowsDone { get; init; }

    /// <summary>Entities whose row was sent.</summary>
    public long Sent { get; init; }

    /// <summary>Entities that were deleted meanwhile, or of which nothing is stored.</summary>
    public long Absent { get; init; }

    /// <summary>Entities that have a row, but it is not stored: it is too large, or damaged.</summary>
    public long WithoutRow { get; init; }

    /// <summary>Events that were parked.</summary>
    public long Parked { get; init; }

    /// <summary>Events that became dead letters.</summary>
    public long Refused { get; init; }
}
