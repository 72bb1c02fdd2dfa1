using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Changes;

namespace CdcOrleans.Model.Storage;

/// <summary>What a backfill is doing.</summary>
public enum BackfillState
{
    /// <summary>Rows are being read.</summary>
    Running,

    /// <summary>A person paused it. It goes on where it was.</summary>
    Paused,

    /// <summary>Every row was read, and what came of it was delivered, parked or given up.</summary>
    Done,

    /// <summary>A person ended it.</summary>
    Cancelled,

    /// <summary>It cannot go on; its error says why.</summary>
    Failed,
}

/// <summary>What a backfill is for.</summary>
public enum BackfillKind
{
    /// <summary>The first one of a table, started by the configuration. Each row becomes an event (<c>r</c>).</summary>
    Initial,

    /// <summary>A person asked for the rows. Each row becomes an event (<c>r</c>).</summary>
    Rows,

    /// <summary>Only what differs from the stored rows becomes an event (<c>c</c>, <c>u</c>, <c>d</c>).</summary>
    Repair,

    /// <summary>What differs is counted. There are no events, and nothing is changed.</summary>
    Verify,
}

/// <summary>Backfills, their progress, and the snapshots of their chunks. Safe for concurrent use.</summary>
/// <remarks>Every method throws <see cref="StateUnavailableException"/> while the control database does not answer.</remarks>
public interface IBackfillStore
{
    /// <summary>Adds a backfill, which is then running. Returns it, or the open backfill that has one of its tables already.</summary>
    Task<(StoredBackfill Backfill, bool IsNew)> Add(StoredBackfill backfill, CancellationToken cancellation);

    /// <summary>Returns the tables that no backfill of kind <see cref="BackfillKind.Initial"/> was ever added for, in their order.</summary>
    /// <param name="source">The source.</param>
    /// <param name="tables">The tables to look at, as <c>schema.table</c>.</param>
    /// <param name="cancellation">Cancels.</param>
    Task<IReadOnlyList<string>> WithoutInitial(string source, IReadOnlyList<string> tables, CancellationToken cancellation);

    /// <summary>
    /// Returns the tables of which changes are missing (<see cref="IConfirmedPositions.Reset"/>) and for which no backfill of kind
    /// <see cref="BackfillKind.Repair"/> was added since, in their order.
    /// </summary>
    /// <param name="source">The source.</param>
    /// <param name="tables">The tables to look at, as <c>schema.table</c>.</param>
    /// <param name="cancellation">Cancels.</param>
    Task<IReadOnlyList<string>> AfterGap(string source, IReadOnlyList<string> tables, CancellationToken cancellation);

    /// <summary>Returns backfills, the newest first.</summary>
    /// <param name="before">Those with a lower id; 0 for the newest.</param>
    /// <param name="limit">Most of them.</param>
    /// <param name="cancellation">Cancels.</param>
    Task<IReadOnlyList<StoredBackfill>> List(long before, int limit, CancellationToken cancellation);

    /// <summary>Returns a backfill; null when there is none.</summary>
    Task<StoredBackfill?> Get(long id, CancellationToken cancellation);

    /// <summary>Returns the ids of the running backfills.</summary>
    Task<IReadOnlyList<long>> Running(CancellationToken cancellation);

    /// <summary>
    /// Returns the ids of the running backfills of the same source that were started before a backfill, in their order. Those of single keys
    /// are left out.
    /// </summary>
    Task<IReadOnlyList<long>> Ahead(StoredBackfill backfill, CancellationToken cancellation);

    /// <summary>Changes the state of a backfill, if it has one of some states. Returns whether it did.</summary>
    Task<bool> Change(long id, IReadOnlyCollection<BackfillState> from, BackfillState to, CancellationToken cancellation);

    /// <summary>Begins to run a backfill: whoever ran it before writes nothing any more. Null when it is not running.</summary>
    Task<StoredBackfill?> Begin(long id, CancellationToken cancellation);

    /// <summary>Writes the progress of a table. Returns the state of the backfill; null when somebody else runs it.</summary>
    /// <param name="backfill">The backfill, as <see cref="Begin"/> returned it.</param>
    /// <param name="table">The table with its progress.</param>
    /// <param name="waiting">What the backfill waits for; null when it waits for nothing.</param>
    /// <param name="speed">Rows per second.</param>
    /// <param name="cancellation">Cancels.</param>
    Task<BackfillState?> Save(StoredBackfill backfill, BackfillTable table, string? waiting, double speed, CancellationToken cancellation);

    /// <summary>Ends a running backfill. Does nothing when somebody else runs it, or when a person ended it.</summary>
    /// <param name="backfill">The backfill, as <see cref="Begin"/> returned it.</param>
    /// <param name="error">Why it failed; null when it is done.</param>
    /// <param name="cancellation">Cancels.</param>
    Task End(StoredBackfill backfill, string? error, CancellationToken cancellation);

    /// <summary>
    /// Stores the snapshot of a chunk before its rows are merged, because the stored states of its entities refer to it. Returns its number,
    /// which is higher than those before. Deletes snapshots of the source that the confirmed position of the source has passed: no state
    /// needs them any more.
    /// </summary>
    Task<long> AddChunk(string source, ChunkSnapshot snapshot, CancellationToken cancellation);

    /// <summary>Whether a state of some entity of a table is stored.</summary>
    /// <param name="table">Number of the table in the schema store.</param>
    /// <param name="cancellation">Cancels.</param>
    Task<bool> HasStates(int table, CancellationToken cancellation);

    /// <summary>Returns the highest fence of all chunks that were ever added for a source; <see cref="Lsn.None"/> when there were none.</summary>
    Task<Lsn> Fence(string source, CancellationToken cancellation);
}

/// <summary>A backfill: existing rows of tables that are read at the source.</summary>
public sealed record StoredBackfill
{
    /// <summary>Its number; 0 before it is stored.</summary>
    public long Id { get; init; }

    /// <summary>The source.</summary>
    public required string Source { get; init; }

    /// <summary>What it is for.</summary>
    public required BackfillKind Kind { get; init; }

    /// <summary>The patterns of the tables, as they were asked for.</summary>
    public required IReadOnlyList<string> Patterns { get; init; }

    /// <summary>Most rows per second; 0 for no limit.</summary>
    public required int Rate { get; init; }

    /// <summary>Who started it.</summary>
    public required string Who { get; init; }

    /// <summary>The tables, in order, with their progress.</summary>
    public required IReadOnlyList<BackfillTable> Tables { get; init; }

    /// <summary>What it is doing.</summary>
    public BackfillState State { get; init; }

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

/// <summary>One table of a backfill, with the progress.</summary>
public sealed record BackfillTable
{
    /// <summary>Its place among the tables of the backfill, from 0.</summary>
    public required int Place { get; init; }

    /// <summary><c>schema.table</c>.</summary>
    public required string Table { get; init; }

    /// <summary>OID of the relation when it was planned; 0 before.</summary>
    public uint Relation { get; init; }

    /// <summary>The condition that rows must meet; null for all rows.</summary>
    public string? Where { get; init; }

    /// <summary>The columns that are read besides the key; null for all.</summary>
    public IReadOnlyList<string>? Columns { get; init; }

    /// <summary>The keys of the entities that are read; null for all.</summary>
    public IReadOnlyList<string>? Keys { get; init; }

    /// <summary>How many rows there were at the start, roughly.</summary>
    public long RowsTotal { get; init; }

    /// <summary>The place up to which rows are read and merged; null before the first chunk.</summary>
    public string? After { get; init; }

    /// <summary>Whether every row of the table was read in order.</summary>
    public bool IsRead { get; init; }

    /// <summary>For a repair or verification, the last stored key whose row was looked for; null before the first.</summary>
    public string? SweptTo { get; init; }

    /// <summary>Keys whose rows must be read again, because a chunk could not tell them.</summary>
    public IReadOnlyList<string> Again { get; init; } = [];

    /// <summary>Whether everything is done.</summary>
    public bool IsDone { get; init; }

    /// <summary>Rows that were read.</summary>
    public long RowsDone { get; init; }

    /// <summary>Rows that became events <c>r</c>.</summary>
    public long Sent { get; init; }

    /// <summary>Rows that the stream had told already, or that were as they are stored.</summary>
    public long Unchanged { get; init; }

    /// <summary>Rows that were not stored: events <c>c</c> of a repair.</summary>
    public long Created { get; init; }

    /// <summary>Rows that differed from the stored ones: events <c>u</c> of a repair.</summary>
    public long Updated { get; init; }

    /// <summary>Stored rows that do not exist any more: events <c>d</c>.</summary>
    public long Deleted { get; init; }

    /// <summary>Events that were parked.</summary>
    public long Parked { get; init; }

    /// <summary>Events that became dead letters.</summary>
    public long Refused { get; init; }

    /// <summary>Why it could not be read to the end; null when it could, or is not done.</summary>
    public string? Error { get; init; }
}
