using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Deliveries;

/// <summary>What became of one entity of a replay.</summary>
internal enum ReplayedAs : byte
{
    /// <summary>Its current row was sent, or the format could not write it.</summary>
    Sent,

    /// <summary>It was deleted, or nothing is stored of it.</summary>
    Absent,

    /// <summary>It has a row that is not stored: too large, or damaged.</summary>
    WithoutRow,
}

/// <summary>
/// A part of a replay that one partition works on: the entities of one table whose current rows, or past changes, go to one sink. For
/// current rows, the plan of the table refers to it (<see cref="TablePlan.Replay"/>), so they take the way of changes. Used on the
/// partition's scheduler, unless a comment says otherwise.
/// </summary>
internal sealed class ReplayWork(SinkTarget target, TablePlan live, TimeProvider time)
{
    private readonly bool _hasOtherSinks = live.Outputs.Any(o => o.Targets.Any(t => !ReferenceEquals(t.Outlet, target.Outlet)));

    /// <summary>The sink.</summary>
    public SinkTarget Target { get; } = target;

    /// <summary>A schema of the table. The rows may have others.</summary>
    public required TableSchema Table { get; init; }

    /// <summary>The changes of the journal that are sent; null: the current rows.</summary>
    public JournalWindow? Journal { get; init; }

    /// <summary>The keys of the entities that were not begun.</summary>
    public Queue<string> Keys { get; } = new();

    /// <summary>Entities that were begun and are not finished.</summary>
    public int UnderWay { get; set; }

    /// <summary>What is finished, by what became of it: entities, or changes of the journal.</summary>
    public int[] Finished { get; } = new int[3];

    /// <summary>Events that were parked.</summary>
    public int Parked { get; set; }

    /// <summary>Events that became dead letters.</summary>
    public int Refused { get; set; }

    /// <summary>Whether something of it must become durable before it is done.</summary>
    public bool NeedsCheckpoint { get; set; }

    /// <summary>When somebody last asked for it, as a timestamp of the clock.</summary>
    public long AskedAt { get; set; }

    /// <summary>Completed when every entity is finished and what was parked or given up is durable; cancelled when the partition ends.</summary>
    public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The time now, for the events. Any thread.</summary>
    public DateTimeOffset Now => time.GetUtcNow();

    /// <summary>Whether a row should not be sent in passing: the next change of the entity would have to wait for a slow sink. Any thread.</summary>
    public bool MayHoldUp => _hasOtherSinks && Target.Outlet.IsSlow;

    /// <summary>The plan of the rows: that of the table, with the sink alone.</summary>
    public TablePlan Plan => field ??= live with
    {
        Outputs = [.. live.Outputs
            .Where(o => o.Targets.Any(IsMeant))
            .Select(o => new TableOutput(o.Format, [.. o.Targets.Where(IsMeant)]))],
        Replay = this,
    };

    private bool IsMeant(SinkTarget other) => ReferenceEquals(other.Outlet, Target.Outlet);
}
