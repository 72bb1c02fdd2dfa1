using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Entities;
using CdcOrleans.Model.Changes;

namespace CdcOrleans.Grains.Partitions;

/// <summary>
/// The lane of one table in one partition, for a table without stored rows (<c>entities: off</c>). Its events are sent in order, one batch
/// at a time. Changes that arrive while a batch is in progress go into the next one. Runs on the partition's scheduler.
/// </summary>
internal sealed class TableLane(TablePlan plan)
{
    private const int MostChanges = 4000;
    private const int MostBytes = 4 << 20;

    private readonly Queue<(RowChange Change, long Place)> _waiting = new();

    /// <summary>How the changes of the table are handled.</summary>
    public TablePlan Plan { get; set; } = plan;

    /// <summary>Whether a batch is in progress.</summary>
    public bool IsSending { get; set; }

    /// <summary>Whether the next <see cref="TableLanes.Send"/> sends a batch.</summary>
    public bool IsQueuedToSend { get; set; }

    /// <summary>Number of waiting changes.</summary>
    public int Waiting => _waiting.Count;

    /// <summary>Adds a change, with its place in the partition's sequence.</summary>
    public void Enqueue(RowChange change, long place) => _waiting.Enqueue((change, place));

    /// <summary>Formats waiting changes into a batch, up to its limits.</summary>
    public void Fill(LaneBatch batch, string source, string database)
    {
        var bytes = 0;
        while (_waiting.Count > 0 && batch.Places.Count < MostChanges && bytes < MostBytes)
        {
            var (change, place) = _waiting.Dequeue();
            bytes += change.Size;
            batch.Places.Add(place);
            batch.CommitMicros = change.Transaction.CommitMicros;
            batch.Add(ImageCompletion.Complete(change, null, Plan, source, database), Plan);
        }
    }
}

/// <summary>One batch of a lane.</summary>
internal sealed class LaneBatch(TableLane lane, Action<LaneBatch> finished) : EventBatch
{
    /// <summary>The lane.</summary>
    public TableLane Lane { get; } = lane;

    /// <summary>Places of its changes in the partition's sequence.</summary>
    public List<long> Places { get; } = [];

    /// <summary>Commit time of its newest change, in microseconds since 1970.</summary>
    public long CommitMicros { get; set; }

    /// <inheritdoc />
    protected override void Finished() => finished(this);
}

/// <summary>The lanes of one partition. Runs on the partition's scheduler.</summary>
/// <param name="source">Name of the source.</param>
/// <param name="database">Name of the captured database.</param>
/// <param name="finished">Called from any thread when a batch is finished.</param>
internal sealed class TableLanes(string source, string database, Action<LaneBatch> finished)
{
    private readonly Dictionary<string, TableLane> _lanes = [];
    private readonly List<TableLane> _toSend = [];

    /// <summary>Number of batches in progress at sinks.</summary>
    public int InProgress { get; private set; }

    /// <summary>Accepts a change. The next <see cref="Send"/> sends it, unless a batch of its table is in progress then.</summary>
    public void Take(RowChange change, TablePlan plan, long place)
    {
        if (!_lanes.TryGetValue(plan.Table, out var lane))
            _lanes.Add(plan.Table, lane = new TableLane(plan));
        lane.Plan = plan;
        lane.Enqueue(change, place);
        QueueToSend(lane);
    }

    /// <summary>Records that a batch is finished.</summary>
    public void Finished(LaneBatch batch)
    {
        InProgress--;
        batch.Lane.IsSending = false;
        QueueToSend(batch.Lane);
    }

    /// <summary>Sends waiting changes: one batch for each lane that has none in progress.</summary>
    public void Send()
    {
        foreach (var lane in _toSend)
        {
            lane.IsQueuedToSend = false;
            lane.IsSending = true;
            InProgress++;
            var batch = new LaneBatch(lane, finished);
            lane.Fill(batch, source, database);
            if (batch.IsEmpty)
                finished(batch);
            else
                batch.Send();
        }

        _toSend.Clear();
    }

    private void QueueToSend(TableLane lane)
    {
        if (lane is { IsSending: false, IsQueuedToSend: false, Waiting: > 0 })
        {
            lane.IsQueuedToSend = true;
            _toSend.Add(lane);
        }
    }
}
