using CdcOrleans.Grains.Budgets;
using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Entities;
using CdcOrleans.Grains.Figures;
using CdcOrleans.Grains.Runtime;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Retries;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Partitions;

/// <summary>
/// The lane of one table in one partition, for a table without stored rows (<c>entities: off</c>). Its events are sent in order. The next
/// batch begins when the first sink is done with the one before; at each sink it follows the one before. Changes that arrive meanwhile go
/// into the next one. Runs on the partition's scheduler.
/// </summary>
internal sealed class TableLane(TablePlan plan)
{
    private const int MostChanges = 4000;
    private const int MostBytes = 4 << 20;

    /// <summary>Most batches that some sink has not finished.</summary>
    private const int MostUnfinished = 1000;

    private readonly Queue<(RowChange Change, long Place)> _waiting = new();
    private readonly List<LaneBatch> _unfinished = [];

    /// <summary>How the changes of the table are handled.</summary>
    public TablePlan Plan { get; set; } = plan;

    /// <summary>Whether the next batch must wait.</summary>
    public bool IsSending => _unfinished.Count >= MostUnfinished || (_unfinished.Count > 0 && !_unfinished[^1].IsFirstDone);

    /// <summary>Whether the next <see cref="TableLanes.Send"/> sends a batch.</summary>
    public bool IsQueuedToSend { get; set; }

    /// <summary>Whether the next batch waits for room in the memory budget, or for a second attempt.</summary>
    public bool IsWaiting { get; set; }

    /// <summary>How many entities of the table have paused it.</summary>
    public int Pauses { get; set; }

    /// <summary>Number of waiting changes.</summary>
    public int Waiting => _waiting.Count;

    /// <summary>Adds a change, with its place in the partition's sequence.</summary>
    public void Enqueue(RowChange change, long place) => _waiting.Enqueue((change, place));

    /// <summary>Sends a batch behind the earlier ones.</summary>
    public void Send(LaneBatch batch)
    {
        _unfinished.Add(batch);
        batch.Send(_unfinished.Count == 1 ? null : ShareBefore);
    }

    /// <summary>Removes the next batch if it is finished; null when it is not. The batches leave in their order.</summary>
    public LaneBatch? TakeFinished()
    {
        if (_unfinished is not [{ IsFinished: true } first, ..])
            return null;
        _unfinished.RemoveAt(0);
        return first;
    }

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
    public void Fill(LaneBatch batch, string source, string database, ApplySamples samples, long room)
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
            batch.Take(ImageCompletion.Complete(change, null, Plan, source, database), Plan);
            batch.Places.Add(place);
            batch.CommitMicros = change.Transaction.CommitMicros;
            if (samples.Applied(place) is var at and not 0)
                batch.AppliedAt = at;
            _waiting.Dequeue();
        }
    }

    /// <summary>Returns the shares for a sink that are not done.</summary>
    public IEnumerable<SinkShare> Open(Outlet outlet) =>
        _unfinished.SelectMany(b => b.Shares).Where(s => ReferenceEquals(s.Target.Outlet, outlet) && !s.IsDone);

    // The last batch is not sent yet, so it is left out.
    private SinkShare? ShareBefore(Outlet outlet)
    {
        for (var i = _unfinished.Count - 2; i >= 0; i--)
        {
            foreach (var share in _unfinished[i].Shares)
            {
                if (ReferenceEquals(share.Target.Outlet, outlet))
                    return share;
            }
        }

        return null;
    }
}

/// <summary>One batch of a lane.</summary>
/// <param name="lane">The lane.</param>
/// <param name="room">Bytes reserved for the batch in the memory budget; 0 when it needs few.</param>
/// <param name="parked">Knows which entities have parked events.</param>
/// <param name="inbox">Takes answers for the partition.</param>
internal sealed class LaneBatch(TableLane lane, long room, IParkedEntities parked, PartitionInbox inbox) : EventBatch(room)
{
    /// <inheritdoc />
    public override bool IsEnded => inbox.IsEnded;

    /// <summary>The lane.</summary>
    public TableLane Lane { get; } = lane;

    /// <summary>Places of its changes in the partition's sequence.</summary>
    public List<long> Places { get; } = [];

    /// <summary>Commit time of its newest change, in microseconds since 1970.</summary>
    public long CommitMicros { get; set; }

    /// <summary>Whether a sink is done with it.</summary>
    public bool IsFirstDone { get; set; }

    /// <summary>Whether every event has an outcome at every sink.</summary>
    public bool IsFinished { get; set; }

    /// <summary>Formats a change, and keeps it for the journal of the table if there is one.</summary>
    public void Take(in CompletedChange change, TablePlan plan)
    {
        Add(in change, plan);
        if (plan.HasJournal)
            Keep(in change);
    }

    /// <inheritdoc />
    public override void OnSettled(SinkShare share) => inbox.Add(new ShareSettled(share));

    /// <inheritdoc />
    public override void OnAnsweredLate(SinkShare share) => inbox.Add(new AnsweredLate(share));

    /// <inheritdoc />
    protected override void Finished() => inbox.Add(this);

    /// <inheritdoc />
    protected override void OnUnformatted(IReadOnlyList<DeadLetter> letters) => inbox.Add(new LettersMade(letters));

    /// <inheritdoc />
    protected override void FirstDone() => inbox.Add(new LaneFirstDone(this));

    /// <inheritdoc />
    protected override bool IsParked(EntityKey entity, Outlet outlet) => parked.IsParked(entity, outlet);
}

/// <summary>The lanes of one partition. Runs on the partition's scheduler.</summary>
/// <param name="source">The runtime of the source on this silo.</param>
/// <param name="samples">Measures when changes are applied.</param>
/// <param name="parked">Knows which entities have parked events.</param>
/// <param name="inbox">Takes a batch that is finished, and a lane that waited and may go on.</param>
internal sealed class TableLanes(SourceRuntime source, ApplySamples samples, IParkedEntities parked, PartitionInbox inbox)
{
    /// <summary>Wait before a batch is made again for which there was no memory.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    private readonly Dictionary<string, TableLane> _lanes = [];
    private readonly List<TableLane> _toSend = [];

    /// <summary>Number of batches that are not finished.</summary>
    public int InProgress { get; private set; }

    /// <summary>Accepts a change. The next <see cref="Send"/> sends it, unless a batch of its table must be done first.</summary>
    public void Take(RowChange change, TablePlan plan, long place)
    {
        if (!_lanes.TryGetValue(plan.Table, out var lane))
            _lanes.Add(plan.Table, lane = new TableLane(plan));
        lane.Plan = plan;
        lane.Enqueue(change, place);
        QueueToSend(lane);
    }

    /// <summary>Returns the shares of a table's lane for a sink that are not done.</summary>
    public IReadOnlyList<SinkShare> Open(string table, Outlet outlet) => _lanes.TryGetValue(table, out var lane) ? [.. lane.Open(outlet)] : [];

    /// <summary>Records that the first sink is done with a batch.</summary>
    public void FirstDone(LaneBatch batch)
    {
        batch.IsFirstDone = true;
        QueueToSend(batch.Lane);
    }

    /// <summary>
    /// Records that a batch is finished, and returns the batches of its lane that are finished now: one that overtook another waits for it,
    /// so that events are parked in their order.
    /// </summary>
    public IEnumerable<LaneBatch> Finished(LaneBatch batch)
    {
        batch.IsFirstDone = batch.IsFinished = true;
        while (batch.Lane.TakeFinished() is { } finished)
        {
            InProgress--;
            yield return finished;
        }

        QueueToSend(batch.Lane);
    }

    /// <summary>Sends the batch of a lane that waited for room.</summary>
    public void Entered(TableLane lane, long room)
    {
        lane.IsWaiting = false;
        Begin(lane, room);
    }

    /// <summary>Sends no batch of a table until <see cref="ResumeTable"/>. It may be paused several times.</summary>
    public void PauseTable(string table)
    {
        if (_lanes.TryGetValue(table, out var lane))
            lane.Pauses++;
    }

    /// <summary>Ends a <see cref="PauseTable"/>.</summary>
    public void ResumeTable(string table)
    {
        if (!_lanes.TryGetValue(table, out var lane))
            return;
        lane.Pauses = Math.Max(0, lane.Pauses - 1);
        QueueToSend(lane);
    }

    /// <summary>Tries again to make the batch of a lane.</summary>
    public void Retry(TableLane lane)
    {
        lane.IsWaiting = false;
        QueueToSend(lane);
    }

    /// <summary>Sends waiting changes: one batch for each lane that may send one. Those for which there is no room wait.</summary>
    public void Send()
    {
        foreach (var lane in _toSend)
        {
            lane.IsQueuedToSend = false;
            if (lane.Pauses > 0)
                continue;
            var room = lane.RoomForNext();
            if (room <= MemoryBudget.Free)
                Begin(lane, 0);
            else if (source.Memory.TryTake(new RoomWaiter(lane, inbox), room))
                Begin(lane, room);
            else
                lane.IsWaiting = true;
        }

        _toSend.Clear();
    }

    private void Begin(TableLane lane, long room)
    {
        var batch = new LaneBatch(lane, room, parked, inbox);
        try
        {
            lane.Fill(batch, source.Name, source.Database, samples, Math.Max(room, MemoryBudget.Free));
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

        InProgress++;
        lane.Send(batch);
    }

    private async Task RetryLater(TableLane lane)
    {
        await Task.Delay(Pause, source.Time).ConfigureAwait(false);
        inbox.Add(new LaneRetry(lane));
    }

    private void QueueToSend(TableLane lane)
    {
        if (lane is { IsSending: false, IsQueuedToSend: false, IsWaiting: false, Pauses: 0, Waiting: > 0 })
        {
            lane.IsQueuedToSend = true;
            _toSend.Add(lane);
        }
    }

    private sealed class RoomWaiter(TableLane lane, PartitionInbox inbox) : IRoomWaiter
    {
        // If the partition has ended, the answer is discarded, and its room is given back.
        public bool OnRoom(long bytes)
        {
            inbox.Add(new LaneRoom(lane, bytes));
            return true;
        }
    }
}
