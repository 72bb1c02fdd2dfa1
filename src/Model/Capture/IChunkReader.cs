using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Model.Capture;

/// <summary>Creates readers of existing rows.</summary>
public interface IChunkReaderFactory
{
    /// <summary>Creates the reader of a source. Does not connect yet.</summary>
    IChunkReader Create(SourceConfiguration source);
}

/// <summary>
/// Reads existing rows of a source in chunks, in the form in which the stream has them, at the source or at its replica
/// (<see cref="SourceConfiguration.BackfillReplica"/>). It changes nothing. Any number of chunks may be read at the same time.
/// </summary>
public interface IChunkReader : IAsyncDisposable
{
    /// <summary>Checks whether the rows can be read, and that the filter is an expression.</summary>
    /// <exception cref="CaptureException">They cannot; the message names the value, the place and the remedy.</exception>
    Task<BackfillPlan> Plan(BackfillScope scope, CancellationToken cancellation);

    /// <summary>Takes a horizon. Call it after the slot was created and the table was added to the publication.</summary>
    Task<BackfillHorizon> TakeHorizon(CancellationToken cancellation);

    /// <summary>
    /// Asks whether all transactions before a horizon have ended, also for the replica if there is one. Returns null then; otherwise a sentence that
    /// names the oldest ones, or how far the replica is, and the remedy.
    /// </summary>
    Task<string?> Unsettled(BackfillHorizon horizon, CancellationToken cancellation);

    /// <summary>Reads the next chunk.</summary>
    /// <exception cref="CaptureException">
    /// It cannot be read. When that is <see cref="CaptureException.Transient"/>, the same chunk may be read again later.
    /// </exception>
    Task<TableChunk> Read(ChunkRequest request, CancellationToken cancellation);
}

/// <summary>Which rows of a table are read.</summary>
/// <param name="Schema">The table's schema, unquoted.</param>
/// <param name="Table">The table's name, unquoted; of a partition only if it is published under its own name.</param>
public sealed record BackfillScope(string Schema, string Table)
{
    /// <summary>
    /// A condition in SQL that rows must meet, besides the publication's own row filter; null for all rows. It must be one expression,
    /// without functions that are volatile.
    /// </summary>
    public string? Where { get; init; }

    /// <summary>The columns to read, besides those of the key; the others are unknown in the images. Null for all columns.</summary>
    public IReadOnlyList<string>? Columns { get; init; }

    /// <summary><c>schema.table</c>.</summary>
    public string FullName => $"{Schema}.{Table}";
}

/// <summary>The order in which chunks are read.</summary>
public enum ChunkOrder
{
    /// <summary>By the key.</summary>
    Key,

    /// <summary>By the place in the table's files, because nothing orders the rows.</summary>
    Place,
}

/// <summary>What <see cref="IChunkReader.Plan"/> found.</summary>
/// <param name="Table">The table as the stream has it now.</param>
/// <param name="Order">The order of the chunks.</param>
/// <param name="EstimatedRows">How many rows there are, by the server's statistics.</param>
public sealed record BackfillPlan(TableSchema Table, ChunkOrder Order, long EstimatedRows);

/// <summary>Where a chunk ends at the latest. It has one row at least.</summary>
public sealed record ChunkBounds
{
    /// <summary>Rows. Default 10,000.</summary>
    public int Rows { get; init; } = 10_000;

    /// <summary>Bytes of values. Default 8 MiB.</summary>
    public long Bytes { get; init; } = 8L << 20;

    /// <summary>
    /// Time of reading, from the first row on, that the chunk does not exceed by much: it ends when no further row is expected before. Default
    /// 1 s.
    /// </summary>
    public TimeSpan Time { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Time after which the server ends a statement, and the chunk fails. Default 60 s.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(60);
}

/// <summary>A chunk to be read: the one after a place, or the rows of some keys.</summary>
public sealed record ChunkRequest
{
    /// <summary>Which rows are read.</summary>
    public required BackfillScope Scope { get; init; }

    /// <summary>
    /// OID of the relation that was planned (<see cref="TableSchema.RelationOid"/>); another one under the same name is refused. 0: any.
    /// </summary>
    public uint Relation { get; init; }

    /// <summary>The horizon that must be settled.</summary>
    public BackfillHorizon Horizon { get; init; } = BackfillHorizon.None;

    /// <summary>
    /// <see cref="TableChunk.Next"/> of the chunk before; null for the first one. With <see cref="Keys"/> it only tells since when the table
    /// must not have been altered (<see cref="TableChunk.Altered"/>).
    /// </summary>
    public string? After { get; init; }

    /// <summary>The keys to read, in canonical text; null to read in order.</summary>
    public IReadOnlyList<string>? Keys { get; init; }

    /// <summary>Where the chunk ends.</summary>
    public ChunkBounds Bounds { get; init; } = new();
}

/// <summary>Rows that were read in one snapshot.</summary>
/// <param name="Snapshot">The snapshot, and the fence.</param>
/// <param name="Table">The table, with the number that the stream uses for it.</param>
/// <param name="Rows">The rows, in the order in which they were read.</param>
/// <param name="Next">The place at which the next chunk begins; null when this is the last one.</param>
public sealed record TableChunk(ChunkSnapshot Snapshot, TableSchema Table, IReadOnlyList<ChunkRow> Rows, string? Next)
{
    /// <summary>Of the keys that were asked for, those that have no row. Empty when a filter may be the reason, or when the chunk was full before all
    /// rows were read. Keys that are neither here nor among the rows may be asked for again.</summary>
    public IReadOnlyList<EntityKey> Absent { get; init; } = [];

    /// <summary>
    /// Whether it was read at a replica. Then its rows may have more than the snapshot says (<see cref="ChunkSnapshot"/>), and it may be merged only
    /// when everything that commits before the fence is applied.
    /// </summary>
    public bool IsFromReplica { get; init; }

    /// <summary>
    /// What was altered since the place was given after which to read (<see cref="ChunkRequest.After"/>), as a part of a sentence; null when
    /// nothing was. Rows up to that place may have changed without an event, or the place may mean other rows. So the chunk is empty, and the
    /// table must be read from its start.
    /// </summary>
    public string? Altered { get; init; }
}

/// <summary>A row of a chunk.</summary>
/// <param name="Entity">Its entity; with an empty key when the table has none.</param>
/// <param name="Row">The row.</param>
/// <param name="HasOmitted">Whether values are left out because they are longer than <c>large_values.limit</c>.</param>
public readonly record struct ChunkRow(EntityKey Entity, RowImage Row, bool HasOmitted);
