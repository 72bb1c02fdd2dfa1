using System.Collections;
using System.Runtime.InteropServices;
using CdcOrleans.Grains.Budgets;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Checkpoints;

/// <summary>
/// The finished work of one partition that is not durable yet: the newest state of each entity, parked events, dead letters, journal rows, and progress. It also keeps
/// durable states that were written recently. The partition and its entities add to it; the checkpointer cuts it. Safe for concurrent
/// use.
/// </summary>
internal sealed class CheckpointBuffer
{
    /// <summary>What is not durable is counted in the budget in steps of so many bytes, so that small states share the cost.</summary>
    private const long CountingStep = 16 << 10;

    private readonly Lock _gate = new();
    private readonly int _partition;
    private readonly long _generation;
    private readonly MemoryBudget _memory;
    private readonly RetainedStates _retained;
    private List<TaskCompletionSource> _waiting = [];
    private List<TaskCompletionSource> _waitingForCut = [];
    private Dictionary<EntityKey, Unsaved> _states = [];
    private Dictionary<EntityKey, Unsaved> _committing = [];
    private List<DeadLetter> _deadLetters = [];
    private List<DeadLetter> _committingDeadLetters = [];
    private List<JournalRow> _journal = [];
    private List<JournalRow> _committingJournal = [];
    private ParkedChanges _parked = new();
    private ParkedChanges _committingParked = new();
    private ChangeVersion _progress;
    private ChangeVersion _high;
    private ChangeVersion _durable;
    private ChangeVersion _cut;
    private long _bytes;
    private long _cutBytes;
    private long _counted;
    private bool _isCut;
    private bool _isClosed;

    public CheckpointBuffer(int partition, PartitionClaim claim, EntityBudget budget, MemoryBudget memory)
    {
        _memory = memory;
        _partition = partition;
        _generation = claim.Generation;
        _progress = _durable = _cut = claim.Progress;
        _high = claim.High;
        _retained = new RetainedStates(budget);
    }

    /// <summary>The durable progress: that of the last committed checkpoint.</summary>
    public ChangeVersion Durable
    {
        get
        {
            lock (_gate)
                return _durable;
        }
    }

    /// <summary>The progress of the last <see cref="SetProgress"/>. Every later cut has it, or a higher one.</summary>
    public ChangeVersion Progress
    {
        get
        {
            lock (_gate)
                return _progress;
        }
    }

    /// <summary>Approximate bytes that wait for the next cut.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>
    /// Adds the newest state of an entity. The progress that includes it is set later. Dead letters and parked events of its changes must
    /// have been added before: a stored state without them would skip its changes after a crash, and they would be lost.
    /// </summary>
    /// <param name="key">The entity.</param>
    /// <param name="state">Its state.</param>
    /// <param name="retention">How long the state stays in memory once it is durable.</param>
    public void Add(EntityKey key, EntityState state, Retention retention)
    {
        lock (_gate)
        {
            ref var unsaved = ref CollectionsMarshal.GetValueRefOrAddDefault(_states, key, out var exists);
            _bytes += exists ? state.Size - unsaved.State.Size : state.Size + 64;
            unsaved = new Unsaved(state, retention);
            if (state.Version > _high)
                _high = state.Version;
            CountUnsaved(CountingStep);
        }
    }

    /// <summary>Adds a dead letter.</summary>
    public void Add(DeadLetter letter)
    {
        lock (_gate)
        {
            _deadLetters.Add(letter);
            _bytes += 128 + (letter.Key?.Length ?? 0) + (letter.Value?.Length ?? 0);
            CountUnsaved(CountingStep);
        }
    }

    /// <summary>Adds rows for journals. The states after their changes, and the progress that includes them, come later.</summary>
    public void Add(IReadOnlyList<JournalRow> journal)
    {
        lock (_gate)
        {
            _journal.AddRange(journal);
            foreach (var row in journal)
                _bytes += row.Size;
            CountUnsaved(CountingStep);
        }
    }

    /// <summary>Adds a parked event, with what is known of its entity at the sink then.</summary>
    public void Park(ParkedEvent parked, ParkedEntityState state)
    {
        lock (_gate)
        {
            _parked.Add(parked);
            _parked.Entities[(state.Entity, state.Sink)] = state;
            _bytes += parked.Size;
            CountUnsaved(CountingStep);
        }
    }

    /// <summary>
    /// Removes a parked event, because it was delivered or became a dead letter, and sets what is known of its entity at the sink then.
    /// </summary>
    /// <param name="parked">The event.</param>
    /// <param name="state">What is known of the entity.</param>
    /// <param name="letter">The dead letter that it became; null for none.</param>
    /// <param name="outcome">What became of the dead letter that it was; null when it was none.</param>
    public void Unpark(ParkedEventId parked, ParkedEntityState state, DeadLetter? letter = null, LetterOutcome? outcome = null)
    {
        lock (_gate)
        {
            if (outcome is not null)
                _parked.Letters.Add(outcome);
            _parked.Removed.Add(parked);
            _parked.Entities[(state.Entity, state.Sink)] = state;
            if (letter is not null)
                Add(letter);
        }
    }

    /// <summary>Whether a parked event was removed, and the store may still have it.</summary>
    public bool IsUnparked(ParkedEventId parked)
    {
        lock (_gate)
            return _parked.Removed.Contains(parked) || _committingParked.Removed.Contains(parked);
    }

    /// <summary>Sets what is known of the parked events of an entity at a sink.</summary>
    public void Set(ParkedEntityState state)
    {
        lock (_gate)
            _parked.Entities[(state.Entity, state.Sink)] = state;
    }

    /// <summary>Sets the progress. All states and dead letters that it covers must have been added before.</summary>
    public void SetProgress(ChangeVersion progress)
    {
        lock (_gate)
            _progress = progress;
    }

    /// <summary>Completes when everything that is in the buffer now is durable; is cancelled when the partition ends before.</summary>
    public Task WhenDurable()
    {
        lock (_gate)
        {
            var isEmpty = _states.Count == 0 && _deadLetters.Count == 0 && _journal.Count == 0 && _parked.IsEmpty;
            if (isEmpty && !_isCut)
                return Task.CompletedTask;
            var waiting = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            if (_isClosed)
                waiting.SetCanceled();
            else
                (isEmpty ? _waitingForCut : _waiting).Add(waiting);
            return waiting.Task;
        }
    }

    /// <summary>Returns the keys of a table whose state is not known to be durable yet.</summary>
    public IReadOnlyList<string> UnsavedKeys(string table)
    {
        lock (_gate)
            return [.. _states.Keys.Concat(_committing.Keys).Where(k => k.Table == table).Select(k => k.Key).Distinct()];
    }

    /// <summary>Whether an entity has a state that is not known to be durable yet.</summary>
    public bool HasUnsaved(EntityKey key)
    {
        lock (_gate)
            return _states.ContainsKey(key) || _committing.ContainsKey(key);
    }

    /// <summary>Whether an entity has a state that is not known to be durable yet.</summary>
    /// <param name="key">The entity.</param>
    /// <param name="recent">If false is returned: its durable state, if it was written recently; otherwise null.</param>
    public bool HasUnsaved(EntityKey key, out EntityState? recent)
    {
        lock (_gate)
        {
            recent = null;
            if (_states.ContainsKey(key) || _committing.ContainsKey(key))
                return true;
            recent = _retained.Find(key);
            return false;
        }
    }

    /// <summary>Returns the newest state of an entity, durable or not; null when it is not in memory.</summary>
    public EntityState? Find(EntityKey key)
    {
        lock (_gate)
        {
            return _states.TryGetValue(key, out var unsaved) || _committing.TryGetValue(key, out unsaved)
                ? unsaved.State
                : _retained.Find(key);
        }
    }

    /// <summary>Removes the durable states that match a condition: the store has deleted them.</summary>
    public void Forget(Func<EntityKey, EntityState, bool> isMeant)
    {
        lock (_gate)
            _retained.Remove(isMeant);
    }

    /// <summary>Removes all durable states, because the partition ends. From now on nothing here counts in the budgets.</summary>
    public void Close()
    {
        lock (_gate)
        {
            _isClosed = true;
            CountUnsaved(0);
            foreach (var waiting in _waiting.Concat(_waitingForCut))
                waiting.TrySetCanceled();
            _waiting.Clear();
            _waitingForCut.Clear();
            _retained.Clear();
        }
    }

    /// <summary>
    /// Takes what waits, for one checkpoint; null when nothing waits. No other cut is made before <see cref="Committed"/> or
    /// <see cref="Failed"/> is called.
    /// </summary>
    public PartitionCheckpoint? Cut()
    {
        lock (_gate)
        {
            if (_isCut || (_states.Count == 0 && _deadLetters.Count == 0 && _journal.Count == 0 && _parked.IsEmpty && _progress <= _durable))
                return null;
            _isCut = true;
            (_waiting, _waitingForCut) = (_waitingForCut, _waiting);
            (_states, _committing) = (_committing, _states);
            (_deadLetters, _committingDeadLetters) = (_committingDeadLetters, _deadLetters);
            (_journal, _committingJournal) = (_committingJournal, _journal);
            (_parked, _committingParked) = (_committingParked, _parked);
            _cutBytes = _bytes;
            _bytes = 0;
            _cut = _progress;
            return new PartitionCheckpoint
            {
                Partition = _partition,
                Generation = _generation,
                Progress = _cut,
                High = _high,
                States = new CutStates(_committing),
                DeadLetters = _committingDeadLetters,
                Parked = _committingParked.Events,
                Unparked = _committingParked.Removed,
                ParkedEntities = _committingParked.Entities.Values,
                Letters = _committingParked.Letters,
                Journal = _committingJournal,
            };
        }
    }

    /// <summary>Reports that the cut is durable.</summary>
    public void Committed()
    {
        lock (_gate)
        {
            _isCut = false;
            _durable = _cut;
            foreach (var waiting in _waitingForCut)
                waiting.TrySetResult();
            _waitingForCut.Clear();
            if (!_isClosed)
            {
                foreach (var (key, (state, retention)) in _committing)
                    _retained.Add(key, state, retention);
                _retained.Count();
            }

            Empty(ref _committing);
            _committingDeadLetters.Clear();
            Empty(ref _committingJournal);
            _committingParked.Clear();
            _cutBytes = 0;
            CountUnsaved(0);
        }
    }

    /// <summary>Reports that the cut was not written. It waits again, except for states that are newer in the buffer.</summary>
    public void Failed()
    {
        lock (_gate)
        {
            _isCut = false;
            _waiting.AddRange(_waitingForCut);
            _waitingForCut.Clear();
            _bytes += _cutBytes;
            _cutBytes = 0;
            foreach (var (key, unsaved) in _committing)
            {
                if (!_states.TryAdd(key, unsaved))
                    _bytes -= unsaved.State.Size + 64;
            }

            _deadLetters.InsertRange(0, _committingDeadLetters);
            _journal.InsertRange(0, _committingJournal);
            Empty(ref _committingJournal);
            _committingParked.Append(_parked);
            (_parked, _committingParked) = (_committingParked, _parked);
            _committingParked.Clear();
            Empty(ref _committing);
            _committingDeadLetters.Clear();
            CountUnsaved(0);
        }
    }

    // Counts what is not durable in the budget, if it has changed by more than a step.
    private void CountUnsaved(long step)
    {
        var bytes = _isClosed ? 0 : _bytes + _cutBytes;
        if (Math.Abs(bytes - _counted) <= step)
            return;
        _memory.AddUnsaved(bytes - _counted);
        _counted = bytes;
    }

    // A dictionary with much unused capacity is replaced, because Clear takes time in proportion to the capacity.
    private static void Empty(ref Dictionary<EntityKey, Unsaved> states)
    {
        if (states.Count * 8 < states.Capacity)
            states = [];
        else
            states.Clear();
    }

    private static void Empty(ref List<JournalRow> rows)
    {
        if (rows.Count * 8 < rows.Capacity)
            rows = [];
        else
            rows.Clear();
    }

    private readonly record struct Unsaved(EntityState State, Retention Retention);

    private sealed class CutStates(Dictionary<EntityKey, Unsaved> states) : IReadOnlyCollection<KeyValuePair<EntityKey, EntityState>>
    {
        public int Count => states.Count;

        public IEnumerator<KeyValuePair<EntityKey, EntityState>> GetEnumerator()
        {
            foreach (var (key, unsaved) in states)
                yield return new KeyValuePair<EntityKey, EntityState>(key, unsaved.State);
        }

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
