using CdcOrleans.Grains.Budgets;
using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Entities;
using CdcOrleans.Grains.Runtime;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Retries;

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

    /// <summary>Whether the next batch waits for room in the memory budget, or for a second attempt.</summary>
    public bool IsWaiting { get; set; }

    /// <summary>Number of waiting changes.</summary>
    public int Waiting => _waiting.Count;

    /// <summary>Adds a change, with its place in the partition's sequence.</summary>
    public void Enqueue(RowChange change, long place) => _waiting.Enqueue((change, place));

    /// <summary>Returns the bytes that the next batch needs in addition to its changes.</summary>
    public long RoomForNext()
    {
        var changes = 0;
        var bytes = 0L;
        var room = 0L;
        foreach (var (change, _) in _waiting)
        {
            if (changes++ == MostChanges || bytes >= MostBytes)
                break;
            bytes += change.Size;
            room += Plan.RoomFor(0, change);
        }

        return room;
    }

    /// <summary>Formats waiting changes into a batch, up to its limits. After an error, the failed change is the next that waits.</summary>
    public void Fill(LaneBatch batch, string source, string database, long room)
    {
        var bytes = 0L;
        var used = 0L;
        while (batch.Places.Count < MostChanges && bytes < MostBytes && _waiting.TryPeek(out var next))
        {
            var (change, place) = next;
            used += Plan.RoomFor(0, change);
            if (used > room && batch.Places.Count > 0)
                return;
            bytes += change.Size;
            batch.Add(ImageCompletion.Complete(change, null, Plan, source, database), Plan);
            batch.Places.Add(place);
            batch.CommitMicros = change.Transaction.CommitMicros;
            _waiting.Dequeue();
        }
    }
}

/// <summary>One batch of a lane.</summary>
internal sealed class LaneBatch(TableLane lane, long room, Action<LaneBatch> finished) : EventBatch(room)
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
/// <param name="source">The runtime of the source on this silo.</param>
/// <param name="answer">Called from any thread with a batch that is finished, and when a lane that waited may go on.</param>
internal sealed class TableLanes(SourceRuntime source, Action<object> answer)
{
    /// <summary>Wait before a batch is made again for which there was no memory.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

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

    /// <summary>Sends the batch of a lane that waited for room.</summary>
    public void Entered(TableLane lane, long room)
    {
        lane.IsWaiting = false;
        Begin(lane, room);
    }

    /// <summary>Tries again to make the batch of a lane.</summary>
    public void Retry(TableLane lane)
    {
        lane.IsWaiting = false;
        QueueToSend(lane);
    }

    /// <summary>Sends waiting changes: one batch for each lane that has none in progress. Those for which there is no room wait.</summary>
    public void Send()
    {
        foreach (var lane in _toSend)
        {
            lane.IsQueuedToSend = false;
            var room = lane.RoomForNext();
            if (room <= MemoryBudget.Free)
                Begin(lane, 0);
            else if (source.Memory.TryTake(new RoomWaiter(lane, answer), room))
                Begin(lane, room);
            else
                lane.IsWaiting = true;
        }

        _toSend.Clear();
    }

    private void Begin(TableLane lane, long room)
    {
        var batch = new LaneBatch(lane, room, answer);
        try
        {
            lane.Fill(batch, source.Name, source.Database, Math.Max(room, MemoryBudget.Free));
        }
        catch (Exception exception) when (Exhaustion.IsCauseOf(exception))
        {
            if (batch.Places.Count == 0)
            {
                source.Memory.Give(batch.ReleaseRoom());
                lane.IsWaiting = true;
                _ = RetryLater(lane);
                return;
            }
        }

        lane.IsSending = true;
        InProgress++;
        if (batch.IsEmpty)
            answer(batch);
        else
            batch.Send();
    }

    private async Task RetryLater(TableLane lane)
    {
        await Task.Delay(Pause, source.Time).ConfigureAwait(false);
        answer(new LaneRetry(lane));
    }

    private void QueueToSend(TableLane lane)
    {
        if (lane is { IsSending: false, IsQueuedToSend: false, IsWaiting: false, Waiting: > 0 })
        {
            lane.IsQueuedToSend = true;
            _toSend.Add(lane);
        }
    }

    private sealed class RoomWaiter(TableLane lane, Action<object> answer) : IRoomWaiter
    {
        // If the partition has ended, the answer is discarded, and its room is given back.
        public bool OnRoom(long bytes)
        {
            answer(new LaneRoom(lane, bytes));
            return true;
        }
    }
}
