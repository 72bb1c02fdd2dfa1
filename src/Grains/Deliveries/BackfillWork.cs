using System.Globalization;
using System.Text;
using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Deliveries;

/// <summary>What became of one row of a backfill.</summary>
internal enum RowMerged : byte
{
    /// <summary>It became an event <c>r</c>.</summary>
    Sent,

    /// <summary>The stream had told it already, or it is as it is stored.</summary>
    Unchanged,

    /// <summary>It was not stored.</summary>
    Created,

    /// <summary>It differed from the stored one.</summary>
    Updated,

    /// <summary>It does not exist any more.</summary>
    Deleted,

    /// <summary>The chunk cannot tell it. It must be read again.</summary>
    ReadAgain,
}

/// <summary>
/// The rows of one chunk of a backfill that one partition merges with what its entities know. The plan of the table refers to it
/// (<see cref="TablePlan.Backfill"/>), so the rows take the way of changes. Used on the partition's scheduler, unless a comment says otherwise.
/// </summary>
internal sealed class BackfillWork(StoredChunk chunk, BackfillHorizon horizon, BackfillKind kind, TableSchema table, TablePlan live)
{
    /// <summary>The snapshot in which the rows were read. Any thread.</summary>
    public StoredChunk Chunk { get; } = chunk;

    /// <summary>The header of its events that names the chunk. Any thread.</summary>
    public KeyValuePair<string, byte[]> ChunkHeader { get; } = new(SinkEvent.ChunkHeader, Encoding.UTF8.GetBytes(chunk.Number.ToString(CultureInfo.InvariantCulture)));

    /// <summary>The horizon that was settled then. Any thread.</summary>
    public BackfillHorizon Horizon { get; } = horizon;

    /// <summary>What the backfill is for. Any thread.</summary>
    public BackfillKind Kind { get; } = kind;

    /// <summary>The table, as the chunk has it.</summary>
    public TableSchema Table { get; } = table;

    /// <summary>The backfill.</summary>
    public long Backfill { get; init; }

    /// <summary>
    /// What is remembered of the table, if nothing was stored of it when that began, and if each row is read once; null otherwise.
    /// </summary>
    public WatchedTable? Watched { get; init; }

    /// <summary>No row gets a lower version.</summary>
    public ChangeVersion Position { get; set; }

    /// <summary>The rows that were not begun.</summary>
    public Queue<RowChange> Rows { get; } = new();

    /// <summary>Rows that were begun and are not finished.</summary>
    public int UnderWay { get; set; }

    /// <summary>What is finished, by what became of it.</summary>
    public int[] Finished { get; } = new int[Enum.GetValues<RowMerged>().Length];

    /// <summary>The keys of the rows that must be read again.</summary>
    public List<string> Again { get; } = [];

    /// <summary>Events that were parked.</summary>
    public int Parked { get; set; }

    /// <summary>Events that became dead letters.</summary>
    public int Refused { get; set; }

    /// <summary>
    /// The last truncation of the table. It counts as the last change of an entity of which nothing is stored; null without one. Any thread.
    /// </summary>
    public Truncation? Truncation { get; set; }

    /// <summary>Whether nothing can be stored of an entity, so that its state need not be read.</summary>
    public bool IsNew(string key) => Watched is { } watched && watched.IsUnchanged(Backfill, key);

    /// <summary>Bytes that its rows have in the <see cref="Budgets.MemoryBudget"/>.</summary>
    public long Room { get; set; }

    /// <summary>When somebody last asked for it, as a timestamp of the clock.</summary>
    public long AskedAt { get; set; }

    /// <summary>Completed when every row is finished and durable; cancelled when the rows must be read again.</summary>
    public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The plan of the rows.</summary>
    public TablePlan Plan => field ??= live with { Backfill = this };
}

/// <summary>A truncation of a table.</summary>
/// <param name="Version">Its version.</param>
/// <param name="Xid">Its transaction id, as the log has it.</param>
internal sealed record Truncation(ChangeVersion Version, uint Xid);
