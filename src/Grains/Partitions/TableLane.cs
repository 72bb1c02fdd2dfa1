using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Entities;
using CdcOrleans.Model.Changes;

namespace CdcOrleans.Grains.Partitions;

/// <summary>
/// The changes of one table whose entities hold nothing (<c>entities: off</c>), within one partition: they leave in order, a batch
/// at a time; what comes while a batch is under way makes the next. Runs on the partition.
/// </summary>
internal sealed class TableLane(TablePlan plan)
{
    private const int MostChanges = 4000;
    private const int MostBytes = 4 << 20;

    private readonly Queue<(RowChange Change, long Place)> _waiting = new();

    public TablePlan Plan { get; set; } = plan;

    public bool IsSending { get; set; }

    public bool IsQueuedToSend { get; set; }

    public int Waiting => _waiting.Count;

    public void Enqueue(RowChange change, long place) => _waiting.Enqueue((change, place));

    /// <summary>Formats what waits.</summary>
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
    public TableLane Lane { get; } = lane;

    public List<long> Places { get; } = [];

    public long CommitMicros { get; set; }

    /// <inheritdoc />
    protected override void Finished() => finished(this);
}

/// <summary>The lanes of one partition. Runs on the partition.</summary>
/// <param name="source">Name of the source.</param>
/// <param name="database">Name of the captured database.</param>
/// <param name="finished">Called from any thread when a batch is finished.</param>
internal sealed class TableLanes(string source, string database, Action<LaneBatch> finished)
{
    private readonly Dictionary<string, TableLane> _lanes = [];
    private readonly List<TableLane> _toSend = [];

    /// <summary>Batches that are with the sinks.</summary>
    public int UnderWay { get; private set; }

    /// <summary>Takes a change; it leaves with the next <see cref="Send"/>, or when the batch before it is finished.</summary>
    public void Take(RowChange change, TablePlan plan, long place)
    {
        if (!_lanes.TryGetValue(plan.Table, out var lane))
            _lanes.Add(plan.Table, lane = new TableLane(plan));
        lane.Plan = plan;
        lane.Enqueue(change, place);
        QueueToSend(lane);
    }

    /// <summary>A batch is finished.</summary>
    public void Finished(LaneBatch batch)
    {
        UnderWay--;
        batch.Lane.IsSending = false;
        QueueToSend(batch.Lane);
    }

    /// <summary>Sends what waits, a batch for each lane that has none under way.</summary>
    public void Send()
    {
        foreach (var lane in _toSend)
        {
            lane.IsQueuedToSend = false;
            lane.IsSending = true;
            UnderWay++;
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
