using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Checkpoints;

/// <summary>
/// What one partition has finished and not yet made durable: the newest state of each entity, dead letters, and progress.
/// The partition writes; the checkpointer cuts, from another thread.
/// </summary>
internal sealed class CheckpointBuffer
{
    private readonly Lock _gate = new();
    private readonly int _partition;
    private readonly long _generation;
    private Dictionary<EntityKey, EntityState> _states = [];
    private Dictionary<EntityKey, EntityState> _committing = [];
    private List<DeadLetter> _deadLetters = [];
    private List<DeadLetter> _committingDeadLetters = [];
    private ChangeVersion _progress;
    private ChangeVersion _high;
    private ChangeVersion _durable;
    private ChangeVersion _cut;
    private long _bytes;
    private bool _isCut;

    public CheckpointBuffer(int partition, PartitionClaim claim)
    {
        _partition = partition;
        _generation = claim.Generation;
        _progress = _durable = _cut = claim.Progress;
        _high = claim.High;
    }

    /// <summary>Progress that a committed checkpoint covers.</summary>
    public ChangeVersion Durable
    {
        get
        {
            lock (_gate)
                return _durable;
        }
    }

    /// <summary>Bytes waiting for the next cut, roughly.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>Finished work: states, dead letters, and the progress that includes them.</summary>
    public void Add(EntityKey key, EntityState state)
    {
        lock (_gate)
        {
            if (_states.TryAdd(key, state))
            {
                _bytes += state.Size + 64;
            }
            else
            {
                _bytes += state.Size - _states[key].Size;
                _states[key] = state;
            }

            if (state.Version > _high)
                _high = state.Version;
        }
    }

    /// <summary>An event was given up on.</summary>
    public void Add(DeadLetter letter)
    {
        lock (_gate)
        {
            _deadLetters.Add(letter);
            _bytes += 128 + (letter.Key?.Length ?? 0) + (letter.Value?.Length ?? 0);
        }
    }

    /// <summary>The finished prefix moved. Everything it covers has been added before.</summary>
    public void SetProgress(ChangeVersion progress)
    {
        lock (_gate)
            _progress = progress;
    }

    /// <summary>A state that is not known to be durable yet.</summary>
    public EntityState? Find(EntityKey key)
    {
        lock (_gate)
            return _states.TryGetValue(key, out var state) || _committing.TryGetValue(key, out state) ? state : null;
    }

    /// <summary>Takes what waits, for one checkpoint; null when nothing does. Until it is answered for, no other cut is made.</summary>
    public PartitionCheckpoint? Cut()
    {
        lock (_gate)
        {
            if (_isCut || (_states.Count == 0 && _deadLetters.Count == 0 && _progress <= _durable))
                return null;
            _isCut = true;
            (_states, _committing) = (_committing, _states);
            (_deadLetters, _committingDeadLetters) = (_committingDeadLetters, _deadLetters);
            _bytes = 0;
            _cut = _progress;
            return new PartitionCheckpoint
            {
                Partition = _partition,
                Generation = _generation,
                Progress = _cut,
                High = _high,
                States = _committing,
                DeadLetters = _committingDeadLetters,
            };
        }
    }

    /// <summary>The cut is durable.</summary>
    public void Committed()
    {
        lock (_gate)
        {
            _isCut = false;
            _durable = _cut;
            Empty(ref _committing);
            _committingDeadLetters.Clear();
        }
    }

    /// <summary>The cut was not written; it waits again, under whatever is newer.</summary>
    public void Failed()
    {
        lock (_gate)
        {
            _isCut = false;
            foreach (var (key, state) in _committing)
            {
                if (_states.TryAdd(key, state))
                    _bytes += state.Size + 64;
            }

            _deadLetters.InsertRange(0, _committingDeadLetters);
            Empty(ref _committing);
            _committingDeadLetters.Clear();
        }
    }

    // A dictionary that once grew large is let go rather than kept: clearing it costs its capacity every time.
    private static void Empty(ref Dictionary<EntityKey, EntityState> states)
    {
        if (states.Count * 8 < states.Capacity)
            states = [];
        else
            states.Clear();
    }
}
