using CdcOrleans.Grains.Checkpoints;
using CdcOrleans.Grains.Collections;
using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Entities;
using CdcOrleans.Grains.Figures;
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
internal sealed partial class Partition : IEntityHost, ICheckpointed, IHasParked
{
    private readonly PartitionClaim _claim;
    private readonly PartitionSequence _sequence;
    private readonly EntityRoster _roster;
    private readonly TableLanes _lanes;
    private readonly ParkedEntities _parked;
    private readonly PartitionReplays _replays;
    private readonly PartitionBackfills _backfills;
    private readonly PartitionInbox _inbox;
    private readonly List<Question> _questions = [];
    private TaskCompletionSource? _drained;
    private int _finished;
    private int _duplicates;

    // Of the batch whose first change is not accepted yet; else 0.
    private long _sentMicros;

    // Whether replays wait to go on; read from any thread.
    private volatile bool _hasOthers;

    /// <param name="source">The runtime of the source on this silo.</param>
    /// <param name="index">The partition's number.</param>
    /// <param name="claim">Its generation, and its durable progress.</param>
    /// <param name="parked">What is parked of its entities.</param>
    /// <param name="waker">Asks for the activations of entities.</param>
    /// <param name="schedule">Queues a turn on the grain's scheduler.</param>
    /// <param name="fence">The highest fence of the chunks of backfills that were read before.</param>
    public Partition(
        SourceRuntime source, int index, PartitionClaim claim, IReadOnlyList<ParkedEntityState> parked, IEntityWaker waker, Action<Action<object>, object> schedule, Lsn fence)
    {
        Source = source;
        _claim = claim;
        Index = index;
        _inbox = new PartitionInbox(source.Memory, schedule, TakeAnswers);
        _sequence = new PartitionSequence(claim.Progress);
        Buffer = new CheckpointBuffer(index, claim, source.Budget, source.Memory);
        _parked = new ParkedEntities(source, Buffer, parked, _inbox.Add);
        Samples = new ApplySamples(source.Figures.Applies, source.Time);
        _lanes = new TableLanes(source, Samples, _parked, _inbox);
        _roster = new EntityRoster(
            source, this, _parked, waker, p => _inbox.Add(new WakeFailed(p)), p => _inbox.Add(new RetryDue(p)),
            (p, state, room) => _inbox.Add(new Loaded(p, state, room)));
        _replays = new PartitionReplays(source, _roster, _parked, Buffer);
        _backfills = new PartitionBackfills(source, _roster, Buffer, () => Accepted, fence);
        _parked.Unpark = _roster.Unpark;
        _parked.Pause = key =>
        {
            _roster.Pause(key);
            _lanes.PauseTable(key.Table);
        };
        _parked.Resume = key =>
        {
            _roster.Resume(key);
            _lanes.ResumeTable(key.Table);
        };
        _parked.AskToJoin = Join;
        _parked.Accepted = () => Accepted;
        _parked.High = claim.High;
        _parked.IsIdle = key => _roster.PhaseOf(key) is EntityPhase.Asleep or EntityPhase.Awake;
        _parked.HistoryDone = _replays.Finished;
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

    /// <inheritdoc />
    public ApplySamples Samples { get; }

    /// <summary>Accepts changes, in order.</summary>
    /// <param name="changes">The changes.</param>
    /// <param name="sentMicros">When they were sent, in microseconds since 1970; 0 when nobody measures.</param>
    /// <exception cref="InvalidOperationException">It has ended. The changes must go to the next activation.</exception>
    public void Take(RowChange[] changes, long sentMicros = 0)
    {
        if (_inbox.IsEnded)
            throw new InvalidOperationException($"{Source.Name}: this activation of partition {Index} has ended; changes go to the next one.");
        _sentMicros = sentMicros;
        foreach (var change in changes)
            Take(change);
        EndTurn();
    }

    /// <summary>Removes the rows of tables from memory. No change of these tables may be in progress.</summary>
    public void Forget(int[] tables, ChangeVersion version)
    {
        Rest(tables);
        _backfills.Forget(tables, version);
    }

    private void Rest(int[] tables)
    {
        _roster.Rest(tables);
        Buffer.Forget((_, state) => tables.Contains(state.Table.TableId));
        _replays.Release(tables);
    }

    /// <summary>
    /// Completes when no change is in progress at an entity or a sink, and no parked event is being tried. Changes that wait for an activation are streamed again.
    /// </summary>
    public Task Drain()
    {
        _parked.Stop();
        _replays.Stop();
        _backfills.Stop();
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
        foreach (var question in _questions)
            question.Answer.TrySetResult(false);
        _questions.Clear();
        _parked.Close();
        _replays.Close();
        _backfills.Close();
        Buffer.Close();
        _inbox.Discard();
    }

    /// <inheritdoc />
    public void TryParked()
    {
        if (_parked.Count > 0 || _hasOthers)
            _inbox.Add(new ParkedDue());
    }

    /// <summary>Puts entities to sleep that had nothing to do for a while. Any thread.</summary>
    public void Sweep(TimeSpan idle) => _inbox.Add(new SweepDue(idle));

    /// <inheritdoc />
    public bool NeedsNoState(RowChange change, EntityMode mode)
    {
        // A chunk may have told the row already.
        if (change.Snapshot != SnapshotMark.None || change.Version.CommitLsn < _backfills.Fence)
            return false;

        // A stored state can be ahead of the progress with which this activation started, but not ahead of the high mark. A change with a
        // higher version is certainly new. Then the old row is needed only if rows are stored and the change is not a creation.
        return change.Version > _claim.High && (mode == EntityMode.Version || change.Operation == ChangeOperation.Create);
    }

    /// <inheritdoc />
    public void OnFinished(EntityApply apply) => _inbox.Add(apply);

    // A change in passing has no waiting changes behind it, so the partition does not need to know when the first sink is done.
    void IApplyOwner.OnFirstDone(EntityApply apply)
    {
    }

    /// <inheritdoc />
    public void OnSettled(SinkShare share) => _inbox.Add(new ShareSettled(share));

    /// <inheritdoc />
    public void OnUnformatted(IReadOnlyList<DeadLetter> letters) => _inbox.Add(new LettersMade(letters));

    /// <inheritdoc />
    public void OnAnsweredLate(SinkShare share) => _inbox.Add(new AnsweredLate(share));

    /// <inheritdoc />
    public void OnUnparked(EntityGrain entity, Outlet outlet, bool isUnparked) => _inbox.Add(new EntityUnparked(entity.Key, outlet, isUnparked));

    /// <inheritdoc />
    public void OnJoined(EntityGrain entity, Outlet outlet, bool isJoined, KnownState? state) => _inbox.Add(new EntityJoined(entity.Key, outlet, isJoined, state));

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

    /// <summary>
    /// Parks claimed dead letters, to deliver them again. Completes when each is parked or given back: returns why they were given back.
    /// </summary>
    public async Task<IReadOnlyList<LetterRefusal>> Redeliver(IReadOnlyList<StoredLetter> letters, RedeliverAs what)
    {
        var returning = _parked.Return(letters, what);
        EndTurn();
        return [.. (await Task.WhenAll(returning.Select(r => r.Answer.Task))).OfType<LetterRefusal>()];
    }

    /// <summary>Lets blocked entities go on whose dead letter was discarded.</summary>
    public void Discarded(IReadOnlyList<LetterPlace> letters)
    {
        _parked.Discarded(letters);
        EndTurn();
    }

    /// <summary>Tries parked events now. Returns the number of entities, counted for each sink.</summary>
    public int RetryParked(string sink, string? table, string? key)
    {
        var entities = _parked.RetryNow(sink, table, key);
        EndTurn();
        return entities;
    }

    private UnparkResult Join(ParkedEntity parked)
    {
        parked.Before ??= _lanes.Open(parked.Key.Table, parked.Outlet);
        return parked.Before.Any(s => !s.IsDone) ? UnparkResult.Later : _roster.Join(parked);
    }

    private bool IsQuiet => _roster.InProgress == 0 && _lanes.InProgress == 0 && !_parked.IsTrying;

    private void Take(RowChange change)
    {
        if (!_sequence.TryAccept(change.Version, out var place))
        {
            _duplicates++;
            return;
        }

        if (_sentMicros != 0)
        {
            Samples.Begin(place, _sentMicros);
            _sentMicros = 0;
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
        Rest([change.Table.TableId]);
        _backfills.Truncated(change.Table.TableId, new Truncation(change.Version, change.Transaction.Xid));
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
                case LettersMade made:
                    Add(made.Letters);
                    break;
                case EntityApply apply:
                    if (apply.TakeUnformatted() is { } unformatted)
                        Add(unformatted);
                    if (apply.TakeJournal() is { } journal)
                        Buffer.Add(journal);

                    // The owner shows where it ran: in passing here, or in the entity's activation.
                    if (ReferenceEquals(apply.Owner, this))
                        _roster.Passed(apply);
                    else
                        _roster.Applied(apply);
                    for (var i = 0; i < apply.Count; i++)
                    {
                        if (apply.Place(i) != PendingChange.NoPlace)
                            _sequence.Finish(apply.Place(i));
                    }

                    if (apply.Replays > 0)
                        _replays.Finished(apply);
                    _backfills.Finished(apply);
                    Finish(apply, apply.Changes, apply.Duplicates, apply.CommitMicros);
                    break;
                case LaneBatch batch:
                    foreach (var finished in _lanes.Finished(batch))
                    {
                        if (finished.TakeUnformatted() is { } letters)
                            Add(letters);
                        if (finished.TakeJournal() is { } rows)
                            Buffer.Add(rows);
                        Source.Memory.Give(finished.ReleaseRoom());
                        foreach (var place in finished.Places)
                            _sequence.Finish(place);
                        Finish(finished, finished.Places.Count, 0, finished.CommitMicros);
                    }

                    break;
                case LaneFirstDone first:
                    _lanes.FirstDone(first.Batch);
                    break;
                case ParkedAnswer parked:
                    parked.Apply(_parked);
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

    private void Add(IReadOnlyList<DeadLetter> letters)
    {
        foreach (var letter in letters)
            Buffer.Add(letter);
        Source.Figures.DeadLetters(letters.Count);
    }

    private void Finish(EventBatch events, int changes, int duplicates, long commitMicros)
    {
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
        _replays.EndTurn();
        _backfills.EndTurn();
        _hasOthers = _replays.IsWaiting || _backfills.IsWaiting;
        _roster.EndTurn();
        AnswerQuestions();
        Buffer.SetProgress(_sequence.Progress);
        _parked.EndTurn();
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

    // Who is told that its changes were given must not find an entity that is paused.
    private void AnswerQuestions()
    {
        if (_questions.Count == 0 || _roster.HasPaused)
            return;
        foreach (var question in _questions)
            Answer(question);
        _questions.Clear();
    }

    private void Answer(Question question)
    {
        if (question.Epoch < Epoch)
            question.Answer.TrySetException(new StaleReaderException($"{Source.Name}: a reader of epoch {question.Epoch} asked a partition of epoch {Epoch}."));
        else
            question.Answer.TrySetResult(question.Epoch == Epoch && Accepted >= question.LastSent);
    }
}
