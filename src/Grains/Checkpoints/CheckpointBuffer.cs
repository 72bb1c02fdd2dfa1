using System.Collections;
using System.Runtime.InteropServices;
using CdcOrleans.Grains.Budgets;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Checkpoints;

/// <summary>How long a state stays in memory once it is durable. An awake entity has it besides, and may be put to sleep at any time.</summary>
internal enum Retention : byte
{
    /// <summary>For a short time: the entity was just created.</summary>
    Created,

    /// <summary>For a longer time: the entity existed before.</summary>
    Used,
}

/// <summary>
/// The finished work of one partition that is not durable yet: the newest state of each entity, dead letters, and progress. It also keeps
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
    private readonly EntityBudget _budget;
    private readonly MemoryBudget _memory;
    private readonly RecentStates _created;
    private readonly RecentStates _used;
    private Dictionary<EntityKey, Unsaved> _states = [];
    private Dictionary<EntityKey, Unsaved> _committing = [];
    private List<DeadLetter> _deadLetters = [];
    private List<DeadLetter> _committingDeadLetters = [];
    private ChangeVersion _progress;
    private ChangeVersion _high;
    private ChangeVersion _durable;
    private ChangeVersion _cut;
    private long _bytes;
    private long _cutBytes;
    private long _counted;
    private long _recentBytes;
    private bool _isCut;
    private bool _isClosed;

    public CheckpointBuffer(int partition, PartitionClaim claim, EntityBudget budget, MemoryBudget memory)
    {
        _memory = memory;
        _partition = partition;
        _generation = claim.Generation;
        _progress = _durable = _cut = claim.Progress;
        _high = claim.High;
        _budget = budget;
        _created = new RecentStates(budget.CreatedShare);
        _used = new RecentStates(budget.UsedShare);
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

    /// <summary>Approximate bytes that wait for the next cut.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>Adds the newest state of an entity. The progress that includes it is set later.</summary>
    /// <param name="key">The entity.</param>
    /// <param name="state">Its state.</param>
    /// <param name="retention">How long the state stays in memory once it is durable.</param>
    /// <param name="letters">
    /// Dead letters of the changes that made the state; null for none. They are in the same checkpoint: a stored state without them would
    /// skip its changes after a crash, and the dead letters would be lost.
    /// </param>
    public void Add(EntityKey key, EntityState state, Retention retention, IReadOnlyList<DeadLetter>? letters = null)
    {
        lock (_gate)
        {
            foreach (var letter in letters ?? [])
                Put(letter);
            ref var unsaved = ref CollectionsMarshal.GetValueRefOrAddDefault(_states, key, out var exists);
            _bytes += exists ? state.Size - unsaved.State.Size : state.Size + 64;
            unsaved = new Unsaved(state, retention);
            if (state.Version > _high)
                _high = state.Version;
            CountUnsaved(CountingStep);
        }
    }

    /// <summary>Adds a dead letter of a change without a state.</summary>
    public void Add(DeadLetter letter)
    {
        lock (_gate)
        {
            Put(letter);
            CountUnsaved(CountingStep);
        }
    }

    /// <summary>Sets the progress. All states and dead letters that it covers must have been added before.</summary>
    public void SetProgress(ChangeVersion progress)
    {
        lock (_gate)
            _progress = progress;
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
            recent = _used.Find(key) ?? _created.Find(key);
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
                : _used.Find(key) ?? _created.Find(key);
        }
    }

    /// <summary>Removes the durable states that match a condition: the store has deleted them.</summary>
    public void Forget(Func<EntityKey, EntityState, bool> isMeant)
    {
        lock (_gate)
        {
            _created.Remove(isMeant);
            _used.Remove(isMeant);
            CountRecent();
        }
    }

    /// <summary>Removes all durable states, because the partition ends. From now on nothing here counts in the budgets.</summary>
    public void Close()
    {
        lock (_gate)
        {
            _isClosed = true;
            CountUnsaved(0);
            _created.Clear();
            _used.Clear();
            CountRecent();
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
            if (_isCut || (_states.Count == 0 && _deadLetters.Count == 0 && _progress <= _durable))
                return null;
            _isCut = true;
            (_states, _committing) = (_committing, _states);
            (_deadLetters, _committingDeadLetters) = (_committingDeadLetters, _deadLetters);
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
            if (!_isClosed)
            {
                foreach (var (key, (state, retention)) in _committing)
                    Retain(key, state, retention);
                CountRecent();
            }

            Empty(ref _committing);
            _committingDeadLetters.Clear();
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
            _bytes += _cutBytes;
            _cutBytes = 0;
            foreach (var (key, unsaved) in _committing)
            {
                if (!_states.TryAdd(key, unsaved))
                    _bytes -= unsaved.State.Size + 64;
            }

            _deadLetters.InsertRange(0, _committingDeadLetters);
            Empty(ref _committing);
            _committingDeadLetters.Clear();
            CountUnsaved(0);
        }
    }

    private void Put(DeadLetter letter)
    {
        _deadLetters.Add(letter);
        _bytes += 128 + (letter.Key?.Length ?? 0) + (letter.Value?.Length ?? 0);
    }

    // An entity is in at most one of the two, with its newest durable state.
    private void Retain(EntityKey key, EntityState state, Retention retention)
    {
        var (into, outOf) = retention == Retention.Used ? (_used, _created) : (_created, _used);
        into.Add(key, state);
        outOf.Remove(key);
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

    private void CountRecent()
    {
        var bytes = _created.Bytes + _used.Bytes;
        _budget.Add(bytes - _recentBytes);
        _recentBytes = bytes;
    }

    // A dictionary with much unused capacity is replaced, because Clear takes time in proportion to the capacity.
    private static void Empty(ref Dictionary<EntityKey, Unsaved> states)
    {
        if (states.Count * 8 < states.Capacity)
            states = [];
        else
            states.Clear();
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
