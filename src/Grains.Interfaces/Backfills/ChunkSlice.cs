using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Interfaces.Backfills;

/// <summary>The rows of one chunk of a backfill that belong to one partition.</summary>
[GenerateSerializer, Immutable, Alias("cdc.ChunkSlice")]
public sealed record ChunkSlice
{
    /// <summary>What identifies it.</summary>
    [Id(0)] public required Place At { get; init; }

    /// <summary>Generation of the partition that may take it. Another one lacks what the chunk relies on.</summary>
    [Id(1)] public required long Generation { get; init; }

    /// <summary>What the backfill is for.</summary>
    [Id(2)] public required BackfillKind Kind { get; init; }

    /// <summary>The table.</summary>
    [Id(3)] public required TableSchema Table { get; init; }

    /// <summary>The snapshot in which the rows were read.</summary>
    [Id(4)] public required StoredChunk Chunk { get; init; }

    /// <summary>The horizon that was settled then.</summary>
    [Id(5)] public required BackfillHorizon Horizon { get; init; }

    /// <summary>Every change that commits before this position is durable in every partition.</summary>
    [Id(6)] public required Lsn Position { get; init; }

    /// <summary>The rows; empty to ask only whether it is done.</summary>
    [Id(7)] public required ReadRow[] Rows { get; init; }

    /// <summary>Whether the rows are here. If not, the partition must have them already.</summary>
    [Id(8)] public bool HasRows { get; init; } = true;

    /// <summary>
    /// Whether nothing was stored of the table after the partition had begun to watch it (<see cref="IPartitionGrain.Watch"/>), and no row
    /// of this chunk is in another one of the backfill before it is merged.
    /// </summary>
    [Id(9)] public bool HasNoStates { get; init; }

    /// <summary>Identifies a slice.</summary>
    /// <param name="Backfill">The backfill.</param>
    /// <param name="Run">How often a silo has begun to run it.</param>
    /// <param name="Number">Number of the slice in this run.</param>
    [GenerateSerializer, Immutable, Alias("cdc.ChunkSlice.Place")]
    public readonly record struct Place([property: Id(0)] long Backfill, [property: Id(1)] long Run, [property: Id(2)] long Number);

    /// <summary>A row that was read, or a key that has none.</summary>
    [GenerateSerializer, Immutable, Alias("cdc.ChunkSlice.ReadRow")]
    public readonly record struct ReadRow
    {
        /// <summary>The entity.</summary>
        [Id(0)] public required EntityKey Entity { get; init; }

        /// <summary>The row; absent when there is none.</summary>
        [Id(1)] public RowImage Row { get; init; }

        /// <summary>Without a row: one with the columns of the key.</summary>
        [Id(2)] public RowImage KeyRow { get; init; }

        /// <summary>Whether values are left out because they are too long.</summary>
        [Id(3)] public bool HasOmitted { get; init; }

        /// <summary>Its place in the backfill.</summary>
        [Id(4)] public required SnapshotMark Mark { get; init; }

        /// <summary>Approximate size in memory, in bytes.</summary>
        public long Size => 160L + (2L * Entity.Key.Length) + Row.Size + KeyRow.Size;

        /// <summary>Returns it in the form of a change, without a version.</summary>
        /// <param name="table">Its table.</param>
        /// <param name="read">Where the log was when it was read.</param>
        /// <param name="transaction">What its event says of the transaction.</param>
        public RowChange AsChange(TableSchema table, Lsn read, SourceTransaction transaction) => new()
        {
            Operation = Row.IsPresent ? ChangeOperation.Read : ChangeOperation.Delete,
            Table = table,
            Entity = Entity,
            Version = ChangeVersion.None,
            Lsn = read,
            Transaction = transaction,
            Before = KeyRow,
            BeforeIsKeyOnly = KeyRow.IsPresent,
            After = Row,
            HasOmitted = HasOmitted,
            Snapshot = Mark,
        };
    }
}

/// <summary>
/// What a partition remembers of a table whose rows a backfill reads: the keys of entities that change, and of those whose rows lack values
/// after a change of the log; and whether the stored rows of the table were forgotten.
/// </summary>
[GenerateSerializer, Alias("cdc.TableWatch")]
public enum TableWatch
{
    /// <summary>Nothing any more.</summary>
    End,

    /// <summary>All of it, from now on. What was forgotten before does not matter: nothing was told of the table before.</summary>
    Begin,

    /// <summary>All of it. A watch that is there goes on.</summary>
    GoOn,
}

/// <summary>What a partition says of the rows of a chunk.</summary>
[GenerateSerializer, Immutable, Alias("cdc.ChunkAnswer")]
public sealed record ChunkAnswer
{
    /// <summary>Whether every row is merged, and what came of it is durable. If not, ask again with the same place.</summary>
    [Id(0)] public bool IsDone { get; init; }

    /// <summary>
    /// Whether the chunk must be read again, after a new horizon: another activation of the partition is there, or it has given the rows up.
    /// </summary>
    [Id(1)] public bool MustReadAgain { get; init; }

    /// <summary>Rows that became events <c>r</c>.</summary>
    [Id(2)] public int Sent { get; init; }

    /// <summary>Rows that the stream had told already, or that are as they are stored.</summary>
    [Id(3)] public int Unchanged { get; init; }

    /// <summary>Rows that were not stored.</summary>
    [Id(4)] public int Created { get; init; }

    /// <summary>Rows that differed from the stored ones.</summary>
    [Id(5)] public int Updated { get; init; }

    /// <summary>Stored rows that do not exist any more.</summary>
    [Id(6)] public int Deleted { get; init; }

    /// <summary>Keys of the rows that must be read again with a later snapshot.</summary>
    [Id(7)] public string[] Again { get; init; } = [];

    /// <summary>Events that were parked.</summary>
    [Id(8)] public int Parked { get; init; }

    /// <summary>Events that became dead letters.</summary>
    [Id(9)] public int Refused { get; init; }

    /// <summary>What it waits for; null when it waits for nothing in particular.</summary>
    [Id(10)] public string? Waiting { get; init; }

    /// <summary>
    /// Whether the stored rows of the table were forgotten since the watch began (<see cref="TableWatch"/>). The table must be read from its start.
    /// </summary>
    [Id(14)] public bool IsForgotten { get; init; }

    /// <summary>Why it cannot be done at all, with the remedy; null when it can.</summary>
    [Id(11)] public string? Problem { get; init; }

    /// <summary>Whether the rows were not taken, because there is no memory for them now. Ask again without rows; the answer is
    /// <see cref="WantsRows"/> when there is.</summary>
    [Id(12)] public bool IsWaitingForRoom { get; init; }

    /// <summary>Whether there is memory for the rows now: send them.</summary>
    [Id(13)] public bool WantsRows { get; init; }
}
