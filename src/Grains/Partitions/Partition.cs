using System.Collections.Concurrent;
using CdcOrleans.Grains.Checkpoints;
using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Entities;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Partitions;

/// <summary>
/// One slice of a source's entities on its silo. Takes changes in sequence, runs each entity's applies one at a time and many
/// entities at once, and hands what is finished to the checkpoint buffer. Everything but the <c>On…</c> methods runs on the
/// partition grain's scheduler, one turn at a time; those may be called from any thread and queue a turn.
/// </summary>
internal sealed class Partition
{
    private readonly SourceRuntime _source;
    private readonly PartitionClaim _claim;
    private readonly PartitionSequence _sequence;
    private readonly EntityTable _entities;
    private readonly Dictionary<string, TableLane> _lanes = [];
    private readonly List<TableLane> _lanesToSend = [];
    private readonly IEntityDispatcher _dispatcher;
    private readonly Action<Action<object>, object> _schedule;
    private readonly ConcurrentQueue<object> _answers = new();
    private TaskCompletionSource? _drained;
    private readonly Action<EntityApply> _onApplied;
    private volatile bool _isEnded;
    private int _turnQueued;
    private int _finished;
    private int _duplicates;

    /// <param name="source">What the source's partitions share.</param>
    /// <param name="index">The partition's number.</param>
    /// <param name="claim">What is durable of it.</param>
    /// <param name="dispatcher">Where entities' applies run.</param>
    /// <param name="schedule">Queues a turn on the grain's scheduler.</param>
    public Partition(
        SourceRuntime source, int index, PartitionClaim claim, IEntityDispatcher dispatcher, Action<Action<object>, object> schedule)
    {
        _source = source;
        _claim = claim;
        _dispatcher = dispatcher;
        _schedule = schedule;
        Index = index;
        _onApplied = OnApplied;
        _sequence = new PartitionSequence(claim.Progress);
        _entities = new EntityTable(source.Budget);
        Buffer = new CheckpointBuffer(index, claim);
    }

    public int Index { get; }

    public long Generation => _claim.Generation;

    /// <summary>Epoch of the reader that opened it; 0 before one did. Read from other threads.</summary>
    public long Epoch
    {
        get => Interlocked.Read(ref field);
        set => Interlocked.Exchange(ref field, value);
    }

    /// <summary>What waits for a checkpoint.</summary>
    public CheckpointBuffer Buffer { get; }

    /// <summary>The last change taken.</summary>
    public ChangeVersion Accepted => _sequence.Accepted;

    /// <summary>Takes changes, in order.</summary>
    /// <exception cref="InvalidOperationException">It has ended: changes belong to whoever owns them now.</exception>
    public void Take(RowChange[] changes)
    {
        if (_isEnded)
            throw new InvalidOperationException($"{_source.Name}: this activation of partition {Index} has ended; changes go to the next one.");
        foreach (var change in changes)
            Take(change);
        SendLanes();
        EndTurn();
    }

    /// <summary>Lets go of the entities of tables, of which nothing is under way.</summary>
    public void Forget(int[] tables) => _entities.Remove(e => e.State is { } state && tables.Contains(state.Table.TableId));

    /// <summary>Completes when everything taken is finished.</summary>
    public Task Drain()
    {
        if (_sequence.Unfinished == 0)
            return Task.CompletedTask;
        _drained ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        return _drained.Task;
    }

    /// <summary>
    /// Hands nothing more to sinks: somebody else owns what waits here, and may be ahead with it. Answers for what was handed over
    /// already change nothing any more. Any thread.
    /// </summary>
    public void End() => _isEnded = true;

    /// <summary>Ends, and lets everything go. What is not durable is streamed again.</summary>
    public void Close()
    {
        End();
        _entities.Clear();
        GiveBack();
    }

    /// <summary>The entity's state as last applied, from memory; false when it must be read from the store.</summary>
    public bool TryRead(EntityKey key, out EntityState? state, out int waiting)
    {
        waiting = 0;
        if (_entities.TryGet(key, out var entity))
        {
            waiting = entity.Waiting;
            state = entity.State;
            if (entity.IsLoaded)
                return state is not null || entity.Plan.Mode != EntityMode.Version;
        }

        state = Buffer.Find(key);
        return state is not null;
    }

    /// <summary>Whether all that was taken of an entity is applied.</summary>
    public bool IsSettled(EntityKey key) =>
        !(_entities.TryGet(key, out var entity) && (entity.IsApplying || entity.Waiting > 0));

    /// <summary>A state that an entity waited for was read. Any thread.</summary>
    public void OnLoaded(Entity entity, EntityState? state) => Answer(new Loaded(entity, state));

    /// <summary>An entity's apply is finished. Any thread.</summary>
    public void OnApplied(EntityApply apply) => Answer(apply);

    /// <summary>A lane's batch is finished. Any thread.</summary>
    public void OnSent(LaneBatch batch) => Answer(batch);

    /// <summary>There is room for an entity's apply. Any thread.</summary>
    /// <returns>Whether it is taken: after the end it is not.</returns>
    public bool OnRoom(Entity entity, long bytes)
    {
        if (_isEnded)
            return false;
        Answer(new Room(entity, bytes));
        return true;
    }

    /// <summary>Runs an entity's apply where the dispatcher decided; called by it.</summary>
    public void Run(Entity entity)
    {
        var apply = new EntityApply(entity, _onApplied) { Growth = entity.Taken };
        entity.Taken = 0;
        try
        {
            entity.Apply(apply, _source.Name, _source.Database);
        }
        catch when (apply.Growth > 0)
        {
            // The activation ends with it; the room is that of all partitions.
            _source.Growth.Give(apply.Growth);
            throw;
        }

        if (apply.IsEmpty)
            OnApplied(apply);
        else
            apply.Send();
    }

    private void Take(RowChange change)
    {
        if (!_sequence.TryAccept(change.Version, out var place))
        {
            _duplicates++;
            return;
        }

        var plan = _source.Routes.Plan(change.Table);
        if (change.Operation == ChangeOperation.Truncate && !TakeTruncate(change, place))
            return;
        if (plan.Mode == EntityMode.Off || change.Operation == ChangeOperation.Truncate)
        {
            TakeByLane(change, plan, place);
            return;
        }

        if (_entities.TryGet(change.Entity, out var entity))
        {
            _entities.Use(entity);
            entity.Plan = plan;
        }
        else
        {
            entity = new Entity(change.Entity, plan);
            _entities.Add(entity, created: change.Operation == ChangeOperation.Create);
        }

        entity.Enqueue(change, place);
        if (!entity.IsLoaded)
            Load(entity, change);
        else if (!entity.IsApplying)
            Dispatch(entity);
    }

    // The reader has waited until nothing of the table is under way, and no state of it is left in the store. Every partition lets go
    // of its entities; one of them tells.
    private bool TakeTruncate(RowChange change, long place)
    {
        _entities.Remove(e => e.Key.Table == change.Entity.Table);
        if (change.Entity.Partition(_source.Configuration.Partitions) == Index)
            return true;
        _sequence.Finish(place);
        return false;
    }

    private void Load(Entity entity, RowChange change)
    {
        if (entity.IsLoading)
            return;
        if (Buffer.Find(change.Entity) is { } unsaved)
            entity.State = unsaved;
        else if (!MayBeSkipped(change, entity.Plan.Mode))
        {
            entity.IsLoading = true;
            _source.States.Request(this, entity, new StateKey(change.Table.TableId, change.Entity.Key));
            return;
        }

        entity.IsLoaded = true;
        Dispatch(entity);
    }

    // A state in the store can be ahead of the progress we started from, but never of the claim's high mark. Beyond it a change is
    // certainly new; then the old row matters only to changes that build on it, and only where rows are held.
    private bool MayBeSkipped(RowChange change, EntityMode mode) =>
        change.Version > _claim.High && (mode == EntityMode.Version || change.Operation == ChangeOperation.Create);

    private void Dispatch(Entity entity)
    {
        if (_isEnded)
            return;
        entity.IsApplying = true;
        var growth = entity.Growth;
        if (growth > GrowthBudget.Free)
        {
            if (!_source.Growth.TryTake(this, entity, growth))
                return;
            entity.Taken = growth;
        }

        _dispatcher.Dispatch(this, entity);
    }

    private void TakeByLane(RowChange change, TablePlan plan, long place)
    {
        if (!_lanes.TryGetValue(plan.Table, out var lane))
            _lanes.Add(plan.Table, lane = new TableLane(plan));
        lane.Plan = plan;
        lane.Enqueue(change, place);
        QueueToSend(lane);
    }

    private void QueueToSend(TableLane lane)
    {
        if (lane is { IsSending: false, IsQueuedToSend: false, Waiting: > 0 })
        {
            lane.IsQueuedToSend = true;
            _lanesToSend.Add(lane);
        }
    }

    private void SendLanes()
    {
        foreach (var lane in _lanesToSend)
        {
            if (_isEnded)
                return;
            lane.IsQueuedToSend = false;
            lane.IsSending = true;
            var batch = new LaneBatch(lane, OnSent);
            lane.Fill(batch, _source.Name, _source.Database);
            if (batch.IsEmpty)
                OnSent(batch);
            else
                batch.Send();
        }

        _lanesToSend.Clear();
    }

    private void Answer(object answer)
    {
        _answers.Enqueue(answer);
        if (_isEnded)
        {
            // Its activation may be gone, and no turn come.
            GiveBack();
            return;
        }

        if (Interlocked.Exchange(ref _turnQueued, 1) == 0)
            _schedule(static partition => ((Partition)partition).TakeAnswers(), this);
    }

    private void TakeAnswers()
    {
        Interlocked.Exchange(ref _turnQueued, 0);
        if (_isEnded)
        {
            GiveBack();
            return;
        }

        while (_answers.TryDequeue(out var answer))
        {
            switch (answer)
            {
                case EntityApply apply:
                    Finish(apply);
                    break;
                case LaneBatch batch:
                    Finish(batch);
                    break;
                case Loaded loaded:
                    Finish(loaded);
                    break;
                case Room room:
                    room.Entity.Taken = room.Bytes;
                    _dispatcher.Dispatch(this, room.Entity);
                    break;
            }
        }

        SendLanes();
        EndTurn();
    }

    // Nothing else comes of what is answered after the end.
    private void GiveBack()
    {
        while (_answers.TryDequeue(out var answer))
        {
            if (answer is EntityApply { Growth: > 0 } apply)
                _source.Growth.Give(apply.Growth);
            else if (answer is Room room)
                _source.Growth.Give(room.Bytes);
        }
    }

    private void Finish(EntityApply apply)
    {
        var entity = apply.Entity;
        entity.IsApplying = false;
        if (apply.Growth > 0)
            _source.Growth.Give(apply.Growth);
        if (!ReferenceEquals(apply.Outcome, entity.State) && apply.Outcome is { } state)
        {
            entity.State = state;
            Buffer.Add(entity.Key, state);
        }

        _entities.Account(entity);
        for (var i = 0; i < apply.Count; i++)
            _sequence.Finish(apply.Place(i));
        Finish(apply, apply.Count, apply.Duplicates, apply.CommitMicros);
        if (entity.Waiting > 0)
            Dispatch(entity);
    }

    private void Finish(LaneBatch batch)
    {
        batch.Lane.IsSending = false;
        foreach (var place in batch.Places)
            _sequence.Finish(place);
        Finish(batch, batch.Places.Count, 0, batch.CommitMicros);
        QueueToSend(batch.Lane);
    }

    private void Finish(EventBatch events, int changes, int duplicates, long commitMicros)
    {
        if (events.HasRefused)
        {
            var count = 0;
            foreach (var letter in events.Refused())
            {
                Buffer.Add(letter);
                count++;
            }

            _source.Figures.DeadLetters(count);
        }

        if (events.Unrouted > 0 || events.Skipped > 0)
            _source.Figures.WithoutEvent(events.Unrouted, events.Skipped);
        _finished += changes - duplicates;
        _duplicates += duplicates;
        if (commitMicros != 0)
            _source.Figures.Latency(commitMicros);
    }

    private void Finish(Loaded loaded)
    {
        var entity = loaded.Entity;
        entity.IsLoading = false;
        entity.IsLoaded = true;
        entity.State = loaded.State;
        _entities.Account(entity);
        Dispatch(entity);
    }

    private void EndTurn()
    {
        Buffer.SetProgress(_sequence.Progress);
        _entities.Trim();
        if (_finished > 0 || _duplicates > 0)
        {
            _source.Figures.Finished(_finished, _duplicates);
            _finished = _duplicates = 0;
        }

        _source.Checkpointer.Notice(Buffer);
        if (_sequence.Unfinished == 0 && _drained is { } drained)
        {
            _drained = null;
            drained.SetResult();
        }
    }

    private sealed record Loaded(Entity Entity, EntityState? State);

    private sealed record Room(Entity Entity, long Bytes);
}
