using System.Diagnostics.Metrics;
using CdcOrleans.Grains.Budgets;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Model;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;
using HdrHistogram;

namespace CdcOrleans.Grains.Figures;

/// <summary>Counters of this silo for one source. Safe for concurrent use.</summary>
internal sealed class SourceFigures
{
    /// <summary>Time over which the shown latency is measured.</summary>
    private static readonly TimeSpan LatencyWindow = TimeSpan.FromSeconds(5);

    private static readonly Counter<long> FinishedCounter =
        CdcMeter.Instance.CreateCounter<long>("cdc.partition.finished", "{change}", "Changes delivered to every route or dead-lettered.");

    private static readonly Counter<long> DuplicatesCounter =
        CdcMeter.Instance.CreateCounter<long>("cdc.partition.duplicates", "{change}", "Changes skipped because they had been applied before.");

    private readonly TimeProvider _time;
    private readonly EntityBudget _budget;
    private readonly MemoryBudget _memory;
    private readonly long _window;
    private readonly Func<SinkStatus[]> _sinks;
    private readonly KeyValuePair<string, object?> _tag;
    private readonly Recorder _latency = new(1, TimeSpan.FromHours(24).Ticks / 10, 2, (id, low, high, digits) => new LongHistogram(id, low, high, digits));
    private readonly Lock _latencyGate = new();
    private HistogramBase? _interval;
    private (double P50, double P99, double Max) _shown;
    private long _shownAt;
    private long _awake;
    private long _woken;
    private long _slept;
    private long _passed;
    private long _faulted;
    private volatile string? _lastFault;
    private long _rowsTooLarge;
    private long _rowsUnreadable;
    private volatile string? _lastRowNotStored;
    private long _finished;
    private long _duplicates;
    private long _deadLetters;
    private volatile string? _parkedError;
    private long _stateReads;
    private long _unrouted;
    private long _skipped;
    private long _checkpoints;
    private long _statesWritten;
    private int _partitions;
    private volatile string? _checkpointError;

    public SourceFigures(SourceConfiguration source, TimeProvider time, EntityBudget budget, MemoryBudget memory, Func<SinkStatus[]> sinks)
    {
        _time = time;
        _budget = budget;
        _memory = memory;
        _window = source.WindowBytes;
        _sinks = sinks;
        _tag = new KeyValuePair<string, object?>("source", source.Name);
    }

    /// <summary>Counts changes that are finished, and changes that were skipped because they had been applied before.</summary>
    public void Finished(int changes, int duplicates)
    {
        Interlocked.Add(ref _finished, changes);
        FinishedCounter.Add(changes, _tag);
        if (duplicates == 0)
            return;
        Interlocked.Add(ref _duplicates, duplicates);
        DuplicatesCounter.Add(duplicates, _tag);
    }

    /// <summary>Counts changes without an event: no route selects them, or their operation is skipped.</summary>
    public void WithoutEvent(int unrouted, int skipped)
    {
        Interlocked.Add(ref _unrouted, unrouted);
        Interlocked.Add(ref _skipped, skipped);
    }

    /// <summary>Counts events that became dead letters.</summary>
    public void DeadLetters(int events) => Interlocked.Add(ref _deadLetters, events);

    /// <summary>Keeps the error of the last attempt to read parked events; null when it succeeded.</summary>
    public void ParkedRead(string? error) => _parkedError = error;

    /// <summary>Counts states that were read from the store.</summary>
    public void StateReads(int states) => Interlocked.Add(ref _stateReads, states);

    /// <summary>Counts an entity that woke.</summary>
    public void Woken()
    {
        Interlocked.Increment(ref _awake);
        Interlocked.Increment(ref _woken);
    }

    /// <summary>Counts an entity that was put to sleep.</summary>
    public void Slept()
    {
        Interlocked.Decrement(ref _awake);
        Interlocked.Increment(ref _slept);
    }

    /// <summary>Counts changes that were applied in passing.</summary>
    public void Passed(int changes) => Interlocked.Add(ref _passed, changes);

    /// <summary>Counts a change that an entity could not apply.</summary>
    public void Faulted(EntityKey entity, string error)
    {
        Interlocked.Increment(ref _faulted);
        _lastFault = $"{entity}: {error}";
    }

    /// <summary>Counts rows that the store does not have: too large to be stored, or stored and not readable any more.</summary>
    /// <param name="rows">Number of rows.</param>
    /// <param name="last">Entity of the last one.</param>
    /// <param name="absence">Why the store has no row.</param>
    public void RowsNotStored(int rows, EntityKey last, RowAbsence absence)
    {
        Interlocked.Add(ref absence == RowAbsence.TooLarge ? ref _rowsTooLarge : ref _rowsUnreadable, rows);
        _lastRowNotStored = absence == RowAbsence.TooLarge ? $"{last}: The row is too large to be stored." : $"{last}: The stored row cannot be read.";
    }

    /// <summary>Counts a partition that started.</summary>
    public void PartitionStarted() => Interlocked.Increment(ref _partitions);

    /// <summary>Counts a partition that ended.</summary>
    public void PartitionEnded() => Interlocked.Decrement(ref _partitions);

    /// <summary>Counts a checkpoint that was committed, and its states.</summary>
    public void CheckpointCommitted(int states)
    {
        Interlocked.Increment(ref _checkpoints);
        Interlocked.Add(ref _statesWritten, states);
        _checkpointError = null;
    }

    /// <summary>Keeps the error of a checkpoint until one is committed.</summary>
    public void CheckpointFailed(string error) => _checkpointError = error;

    /// <summary>Records the latency of a delivery that all sinks have answered now.</summary>
    /// <param name="commitMicros">Commit time of its newest change, in microseconds since 1970.</param>
    public void Latency(long commitMicros)
    {
        var micros = (_time.GetUtcNow().UtcTicks - DateTime.UnixEpoch.Ticks) / 10 - commitMicros;
        _latency.RecordValue(Math.Clamp(micros, 1, TimeSpan.FromHours(23).Ticks / 10));
    }

    /// <summary>Times from the reader's call until a change was applied.</summary>
    public TimeHistogram Applies { get; } = new();

    /// <summary>Returns the counters.</summary>
    public SiloFigures Take()
    {
        var (p50, p99, max) = TakeLatency();
        var memory = _memory.Use;
        return new SiloFigures
        {
            Finished = Interlocked.Read(ref _finished),
            Duplicates = Interlocked.Read(ref _duplicates),
            DeadLetters = Interlocked.Read(ref _deadLetters),
            AwakeEntities = Interlocked.Read(ref _awake),
            EntityBytes = _budget.Bytes,
            EntitiesWoken = Interlocked.Read(ref _woken),
            EntitiesPutToSleep = Interlocked.Read(ref _slept),
            AppliedInPassing = Interlocked.Read(ref _passed),
            EntityFaults = Interlocked.Read(ref _faulted),
            LastEntityFault = _lastFault,
            StateReads = Interlocked.Read(ref _stateReads),
            Checkpoints = Interlocked.Read(ref _checkpoints),
            StatesWritten = Interlocked.Read(ref _statesWritten),
            LatencyP50 = p50,
            LatencyP99 = p99,
            LatencyMax = max,
            Sinks = _sinks(),
            Partitions = Volatile.Read(ref _partitions),
            Unrouted = Interlocked.Read(ref _unrouted),
            Skipped = Interlocked.Read(ref _skipped),
            CheckpointError = _checkpointError ?? _parkedError,
            RowsTooLarge = Interlocked.Read(ref _rowsTooLarge),
            RowsUnreadable = Interlocked.Read(ref _rowsUnreadable),
            LastRowNotStored = _lastRowNotStored,
            Applies = Applies.Take(),
            MemoryLimit = memory.Limit + _window,
            MemoryOfWindow = _window,
            MemoryOfApplies = memory.Applies + memory.Rows,
            MemoryOfUnsaved = memory.Unsaved,
            WaitingForMemory = memory.Waiting,
        };
    }

    private (double P50, double P99, double Max) TakeLatency()
    {
        lock (_latencyGate)
        {
            var now = _time.GetTimestamp();
            if (_shownAt == 0 || _time.GetElapsedTime(_shownAt, now) >= LatencyWindow)
            {
                _interval = _latency.GetIntervalHistogram(_interval);
                _shownAt = now;
                _shown = _interval.TotalCount == 0
                    ? default
                    : (_interval.GetValueAtPercentile(50) / 1000.0, _interval.GetValueAtPercentile(99) / 1000.0, _interval.GetMaxValue() / 1000.0);
            }

            return _shown;
        }
    }
}
