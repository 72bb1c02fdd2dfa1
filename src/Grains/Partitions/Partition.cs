using CdcOrleans.Grains.Checkpoints;
using CdcOrleans.Grains.Collections;
using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Entities;
using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Grains.Runtime;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Partitions;

/// <summary>
/// One partition of a source on its silo. It accepts changes in order, gives each change to its entity, is notified when it is finished, and
/// computes the progress. It does not know the rows of its entities. The <c>On…</c> methods may be called from any thread and queue a turn.
/// Everything else runs on the partition grain's scheduler, one turn at a time, unless its comment says otherwise.
/// </summary>
internal sealed class Partition : IEntityHost, ICheckpointed
{
    private readonly PartitionClaim _claim;
    private readonly PartitionSequence _sequence;
    private readonly EntityRoster _roster;
    private readonly TableLanes _lanes;
    private readonly PartitionInbox _inbox;
    private readonly List<Question> _questions = [];
    private TaskCompletionSource? _drained;
    private int _finished;
    private int _duplicates;

    /// <param name="source">The runtime of the source on this silo.</param>
    /// <param name="index">The partition's number.</param>
    /// <param name="claim">Its generation, and its durable progress.</param>
    /// <param name="waker">Asks for the activations of entities.</param>
    /// <param name="schedule">Queues a turn on the grain's scheduler.</param>
    public Partition(SourceRuntime source, int index, PartitionClaim claim, IEntityWaker waker, Action<Action<object>, object> schedule)
    {
        Source = source;
        _claim = claim;
        Index = index;
        _inbox = new PartitionInbox(source.Memory, schedule, TakeAnswers);
        _sequence = new PartitionSequence(claim.Progress);
        Buffer = new CheckpointBuffer(index, claim, source.Budget, source.Memory);
        _lanes = new TableLanes(source, _inbox.Add);
        _roster = new EntityRoster(
            source, this, waker, p => _inbox.Add(new WakeFailed(p)), p => _inbox.Add(new RetryDue(p)), (p, state, room) => _inbox.Add(new Loaded(p, state, room)));
    }

    /// <inheritdoc />
    public SourceRuntime Source { get; }

    /// <inheritdoc />
    public int Index { get; }

    /// <inheritdoc />
    public long Generation => _claim.Generation;

    /// <summary>Epoch of the reader that opened it; 0 before the first. Any thread.</summary>
    public long Epoch
    {
        get => Interlocked.Read(ref field);
        set => Interlocked.Exchange(ref field, value);
    }

    /// <inheritdoc cref="IEntityHost.Buffer" />
    public CheckpointBuffer Buffer { get; }

    /// <inheritdoc />
    public bool IsEnded => _inbox.IsEnded;

    /// <summary>Version of the last accepted change.</summary>
    public ChangeVersion Accepted => _sequence.Accepted;

    /// <summary>Number of accepted changes that the progress does not cover yet.</summary>
    public int Unfinished => _sequence.Unfinished;

    /// <summary>Returns the phase of an entity.</summary>
    public EntityPhase PhaseOf(EntityKey key) => _roster.PhaseOf(key);

    /// <summary>Accepts changes, in order.</summary>
    /// <exception cref="InvalidOperationException">It has ended. The changes must go to the next activation.</exception>
    public void Take(RowChange[] changes)
    {
        if (_inbox.IsEnded)
            throw new InvalidOperationException($"{Source.Name}: this activation of partition {Index} has ended; changes go to the next one.");
        foreach (var change in changes)
            Take(change);
        EndTurn();
    }

    /// <summary>Removes the rows of tables from memory. No change of these tables may be in progress.</summary>
    public void Forget(int[] tables)
    {
        _roster.Rest(tables);
        Buffer.Forget((_, state) => tables.Contains(state.Table.TableId));
    }

    /// <summary>
    /// Completes when no change is in progress at an entity or a sink. Changes that wait for an activation are streamed again.
    /// </summary>
    public Task Drain()
    {
        if (IsQuiet)
            return Task.CompletedTask;
        _drained ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        return _drained.Task;
    }

    /// <summary>
    /// Passes nothing more to sinks. Another activation may own the waiting changes and may have applied some of them. Later answers for
    /// earlier deliveries have no effect. Any thread.
    /// </summary>
    public void End() => _inbox.End();

    /// <summary>Ends the partition and the activations of its entities. What is not durable is streamed again.</summary>
    public void Close()
    {
        End();
        _roster.Close();
        Buffer.Close();
        _inbox.Discard();
    }

    /// <summary>Puts entities to sleep that had nothing to do for a while. Any thread.</summary>
    public void Sweep(TimeSpan idle) => _inbox.Add(new SweepDue(idle));

    /// <inheritdoc />
    public bool NeedsNoState(RowChange change, EntityMode mode)
    {
        // A stored state can be ahead of the progress with which this activation started, but not ahead of the high mark. A change with a
        // higher version is certainly new. Then the old row is needed only if rows are stored and the change is not a creation.
        return change.Version > _claim.High && (mode == EntityMode.Version || change.Operation == ChangeOperation.Create);
    }

    /// <inheritdoc />
    public void OnFinished(EntityApply apply) => _inbox.Add(apply);

    /// <inheritdoc />
    public void OnWoken(EntityGrain entity) => _inbox.Add(new Woken(entity));

    /// <inheritdoc />
    public void OnGone(EntityGrain entity, FirstAndRest<PendingChange> remaining) => _inbox.Add(new Gone(entity, remaining));

    /// <inheritdoc />
    public void OnReturned(EntityWork work) => _inbox.Add(new Returned(work));

    /// <inheritdoc />
    public void OnSized(EntityGrain entity, int bytes) => _inbox.Add(new Sized(entity, bytes));

    /// <inheritdoc />
    public void OnNeedless(EntityGrain entity) => _inbox.Add(new Needless(entity));

    /// <inheritdoc />
    public void OnFault(Exception exception) => _inbox.Add(new EntityFault(exception));

    /// <inheritdoc />
    public Task<bool> HasTaken(long epoch, ChangeVersion lastSent)
    {
        var question = new Question(epoch, lastSent);
        _inbox.Add(question);
        return question.Answer.Task;
    }

    private bool IsQuiet => _roster.InProgress == 0 && _lanes.InProgress == 0;

    private void Take(RowChange change)
    {
        if (!_sequence.TryAccept(change.Version, out var place))
        {
            _duplicates++;
            return;
        }

        var plan = Source.Routes.Plan(change.Table);
        if (change.Operation == ChangeOperation.Truncate && !TakeTruncate(change, place))
            return;
        if (plan.Mode == EntityMode.Off || change.Operation == ChangeOperation.Truncate)
            _lanes.Take(change, plan, place);
        else
            _roster.Take(new PendingChange(change, plan, place));
    }

    // The reader has waited until no change of the table is in progress, and has deleted its stored rows. Every partition removes the rows
    // from memory. Only one partition makes the event.
    private bool TakeTruncate(RowChange change, long place)
    {
        Forget([change.Table.TableId]);
        if (change.Entity.Partition(Source.Configuration.Partitions) == Index)
            return true;
        _sequence.Finish(place);
        return false;
    }

    private void TakeAnswers()
    {
        while (_inbox.TryTake(out var answer))
        {
            switch (answer)
            {
                case EntityApply apply:
                    // The owner shows where it ran: in passing here, or in the entity's activation.
                    if (ReferenceEquals(apply.Owner, this))
                        _roster.Passed(apply);
                    else
                        _roster.Applied(apply);
                    for (var i = 0; i < apply.Count; i++)
                        _sequence.Finish(apply.Place(i));
                    Finish(apply, apply.Count, apply.Duplicates, apply.CommitMicros);
                    break;
                case LaneBatch batch:
                    _lanes.Finished(batch);
                    Source.Memory.Give(batch.ReleaseRoom());
                    foreach (var place in batch.Places)
                        _sequence.Finish(place);
                    Finish(batch, batch.Places.Count, 0, batch.CommitMicros);
                    break;
                case RosterAnswer other:
                    other.Apply(_roster);
                    break;
                case LaneRoom room:
                    _lanes.Entered(room.Lane, room.Bytes);
                    break;
                case LaneRetry retry:
                    _lanes.Retry(retry.Lane);
                    break;
                case Question question:
                    _questions.Add(question);
                    break;
            }
        }

        EndTurn();
    }

    private void Finish(EventBatch events, int changes, int duplicates, long commitMicros)
    {
        if (events.Refused is { Count: > 0 } letters)
        {
            // The dead letters of an apply were added to the buffer together with the state.
            if (events is LaneBatch)
            {
                foreach (var letter in letters)
                    Buffer.Add(letter);
            }

            Source.Figures.DeadLetters(letters.Count);
        }

        if (events.Unrouted > 0 || events.Skipped > 0)
            Source.Figures.WithoutEvent(events.Unrouted, events.Skipped);
        _finished += changes - duplicates;
        _duplicates += duplicates;
        if (commitMicros != 0)
            Source.Figures.Latency(commitMicros);
    }

    private void EndTurn()
    {
        if (!_inbox.IsEnded)
            _lanes.Send();
        _roster.EndTurn();
        foreach (var question in _questions)
            Answer(question);
        _questions.Clear();
        Buffer.SetProgress(_sequence.Progress);
        if (_finished > 0 || _duplicates > 0)
            Source.Figures.Finished(_finished, _duplicates);
        Source.Checkpointer.Notice(Buffer, _finished + _duplicates);
        _finished = _duplicates = 0;
        if (_drained is { } drained && IsQuiet)
        {
            _drained = null;
            drained.SetResult();
        }
    }

    private void Answer(Question question)
    {
        if (question.Epoch < Epoch)
            question.Answer.TrySetException(new StaleReaderException($"{Source.Name}: a reader of epoch {question.Epoch} asked a partition of epoch {Epoch}."));
        else
            question.Answer.TrySetResult(question.Epoch == Epoch && Accepted >= question.LastSent);
    }
}
