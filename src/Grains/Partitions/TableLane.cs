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
