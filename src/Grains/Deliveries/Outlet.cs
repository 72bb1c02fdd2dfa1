using System.Collections.Concurrent;
using System.Globalization;
using CdcOrleans.Model;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Retries;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Grains.Deliveries;

/// <summary>
/// The way from one source to one sink on this silo. It passes shares to the sink, tries again what failed for now, and decides what is
/// parked: what failed for longer than its policy allows in place, and everything while a circuit is open (<see cref="SinkCircuits"/>) or
/// the sink is paused. Safe for concurrent use.
/// </summary>
internal sealed class Outlet
{
    /// <summary>Time without an answer after which a sink counts as slow.</summary>
    private static readonly TimeSpan SlowAfter = TimeSpan.FromMilliseconds(50);

    private static readonly RetryPolicy InPlace = new(TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(2), Jitter: 1);

    private readonly ISink _sink;
    private readonly TimeProvider _time;
    private readonly Func<double> _chance;
    private readonly SinkCircuits _circuits;
    private readonly ConcurrentQueue<SinkShare> _held = new();
    private readonly OpenShares _open = new();
    private readonly TimeHistogram _deliveries = new();
    private readonly ConcurrentDictionary<object, DateTimeOffset> _oldestParked = new();
    private readonly ConcurrentDictionary<SinkShare, ITimer> _pausing = new();
    private long _parkedBytes;
    private long _parkedEvents;
    private long _passedAgain;
    private volatile bool _isSlow;
    private volatile bool _isFull;
    private volatile bool _isClosed;
    private volatile SinkPause? _paused;

    /// <param name="source">Name of the source.</param>
    /// <param name="sink">The sink.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">Its log.</param>
    /// <param name="chance">The next random number from 0 to 1, for jitter; null for one that cannot be foretold.</param>
    public Outlet(string source, ISink sink, TimeProvider time, ILogger logger, Func<double>? chance = null)
    {
        _sink = sink;
        _time = time;
        _chance = chance ?? Random.Shared.NextDouble;
        _circuits = new SinkCircuits(source, sink, time, logger, _chance);
    }

    /// <summary>Name of the sink.</summary>
    public string Name => _sink.Name;

    /// <summary>The sink.</summary>
    public ISink Sink => _sink;

    /// <summary>Bytes of parked events that this silo may have for the sink.</summary>
    public long SpillLimit { get; set; } = long.MaxValue;

    /// <summary>
    /// Whether a change should not be applied in passing now, because the sink answers late: the next change of the entity would have to wait.
    /// </summary>
    public bool IsSlow => _isSlow;

    /// <summary>Bytes of parked events of this silo's partitions.</summary>
    public long ParkedBytes => Interlocked.Read(ref _parkedBytes);

    /// <summary>Whether the circuit of the sink is open: nothing passes but probes.</summary>
    public bool IsOpen => _circuits.IsOpen;

    /// <summary>Who paused the sink; null when it is not paused. While it is, nothing passes, and what the policy says for an outage applies.</summary>
    public SinkPause? Paused
    {
        get => _paused;
        set => _paused = value;
    }

    /// <summary>Whether nothing passes now: the sink is paused, or its circuit is open and it is not time for a probe.</summary>
    public bool IsShut => _paused is not null || _circuits.IsShut;

    /// <summary>How the sink is doing, with what is parked for it and which circuits are open.</summary>
    public SinkStatus Status
    {
        get
        {
            var status = _sink.Status;
            var open = _circuits.Open;
            return status with
            {
                Healthy = status.Healthy && open.Count == 0,
                LastError = status.LastError ?? _circuits.Error,
                Parked = Interlocked.Read(ref _parkedEvents),
                ParkedBytes = ParkedBytes,
                Held = _held.Count,
                IsFull = _isFull,
                OpenCircuits = open,
                Pause = _paused,
                Attempts = _open.Passed + Interlocked.Read(ref _passedAgain),
                Deliveries = _deliveries.Take(),
                OldestParkedSeconds = _oldestParked.IsEmpty ? 0 : (long)(_time.GetUtcNow() - _oldestParked.Values.Min()).TotalSeconds,
            };
        }
    }

    /// <summary>Takes a share that has begun.</summary>
    public void Deliver(SinkShare share)
    {
        if (share.IsEnded)
            share.Drop();
        if (!share.HasMore)
        {
            Conclude(share);
            return;
        }

        if (TryPass(share[0]))
        {
            Pass(share);
            return;
        }

        if (share.Target.Policy.Outage == OutagePolicy.Spill)
        {
            share.ParkAll();
            Conclude(share);
            return;
        }

        _held.Enqueue(share);
    }

    /// <summary>Returns the destination of an event within the sink.</summary>
    public string DestinationOf(SinkEvent made) => _sink.DestinationOf(made);

    /// <inheritdoc cref="SinkCircuits.IsOpenTo" />
    public bool IsOpenTo(string? destination) => destination is not null && _circuits.IsOpenTo(destination);

    /// <inheritdoc cref="SinkCircuits.IsShutTo" />
    public bool IsShutTo(string destination) => _circuits.IsShutTo(destination);

    /// <summary>Whether an event may be passed to the sink now. If a circuit is open, the event becomes its probe.</summary>
    public bool TryPass(SinkEvent made) => !IsShut && _circuits.TryPass(made);

    /// <summary>Handles the answer of the sink. Any thread.</summary>
    public void OnAnswered(SinkShare share)
    {
        _open.Remove(share);
        var first = share[0];
        var failure = share.TakeOutcomes();
        if (failure is null)
        {
            Succeeded(share.Target, first);
            if (share is { AppliedAt: not 0 and var appliedAt, HasMore: false })
                _deliveries.Record(_time.GetElapsedTime(appliedAt));
            Deliver(share);
            return;
        }

        Failed(failure, share.Target.Policy.Inline);
        Retry(share, failure);
    }

    /// <summary>Handles an answer that came after the events were parked. Any thread.</summary>
    public void OnAnsweredLate(SinkShare share)
    {
        var first = share[0];
        if (first.Failure is { IsFinal: false } failure)
            Failed(failure, share.Target.Policy.Inline);
        else
            Succeeded(share.Target, first);
    }

    /// <inheritdoc cref="SinkCircuits.Failed" />
    public void Failed(DeliveryFailure failure, TimeSpan patience) => _circuits.Failed(failure, patience);

    /// <inheritdoc cref="SinkCircuits.Succeeded" />
    public void Succeeded(SinkTarget? target, SinkEvent made) => _circuits.Succeeded(target, made);

    /// <summary>
    /// Counts bytes of parked events. Returns false when they do not fit; then nothing is counted. While nothing is parked, any number fits.
    /// </summary>
    public bool TryReserve(long bytes)
    {
        if (Interlocked.Add(ref _parkedBytes, bytes) is var all && (all <= SpillLimit || all == bytes))
            return true;
        Interlocked.Add(ref _parkedBytes, -bytes);
        return false;
    }

    /// <summary>Counts parked events, or, when negative, events that are not parked any more.</summary>
    /// <param name="events">Number of events.</param>
    /// <param name="bytes">Their bytes; 0 when <see cref="TryReserve"/> counted them.</param>
    public void CountParked(int events, long bytes)
    {
        Interlocked.Add(ref _parkedEvents, events);
        Interlocked.Add(ref _parkedBytes, bytes);
    }

    /// <summary>Passes parked events to the sink.</summary>
    /// <param name="attempt">The events.</param>
    public void DeliverAgain(Delivery attempt)
    {
        Interlocked.Add(ref _passedAgain, attempt.Events.Count);
        _sink.Deliver(attempt);
    }

    /// <summary>Sets since when a partition has had parked events; null when it has none.</summary>
    public void SetOldestParked(object partition, DateTimeOffset? since)
    {
        if (since is { } at)
            _oldestParked[partition] = at;
        else
            _oldestParked.TryRemove(partition, out _);
    }

    /// <summary>
    /// Finds shares that the sink does not answer, tries held shares again, and sends probes. Called about four times a second.
    /// </summary>
    public void Tick()
    {
        var now = _time.GetTimestamp();
        if (_open.Oldest() is { } oldest && _time.GetElapsedTime(oldest, now) is var age && age > SlowAfter)
        {
            _isSlow = true;
            FindOverdue(now);
        }
        else
        {
            _isSlow = false;
        }

        var isFull = false;
        for (var count = _held.Count; count > 0 && _held.TryDequeue(out var share); count--)
        {
            if (share.HasMore)
                Deliver(share);
            else
                Conclude(share);
            isFull |= share is { HasMore: false, IsDone: false };
        }

        _isFull = isFull;
    }

    /// <summary>Ends it: nothing is passed to the sink any more.</summary>
    public void Close()
    {
        _isClosed = true;
        foreach (var timer in _pausing.Values)
            timer.Dispose();
        _pausing.Clear();
    }

    private void Pass(SinkShare share)
    {
        share.Pass(_time.GetTimestamp());
        _open.Add(share);
        try
        {
            _sink.Deliver(share);
        }
#pragma warning disable CA1031 // A sink must not throw for an error of its destination. If it throws, it has not accepted the delivery.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            foreach (var made in share.Events)
            {
                made.Failure ??= Exhaustion.IsCauseOf(exception)
                    ? DeliveryFailure.OfEvent("The process lacks memory.")
                    : DeliveryFailure.Refused($"The sink failed to accept the event: {exception.GetType().Name}.");
            }

            share.Complete();
        }
    }

    // An event is tried in place until its time is over. Then it is parked, unless a limit makes it a dead letter.
    private void Retry(SinkShare share, DeliveryFailure failure)
    {
        var policy = share.Target.Policy;
        var age = _time.GetElapsedTime(share.FirstPassedAt);
        if (GivenUp(policy, share.Attempts, age) is { } limit)
        {
            share.GiveUpFirst($"{limit} Last error: {failure.Error}");
            Deliver(share);
            return;
        }

        var wait = WaitAfter(InPlace, share.Attempts, failure);
        if (age + wait <= policy.Inline && !IsClosedTo(share[0]))
        {
            Pause(share, wait);
        }
        else
        {
            if (!_circuits.HasSucceededSince(share, failure.Scope))
                Failed(failure, TimeSpan.Zero);
            if (policy.Outage == OutagePolicy.Hold && failure.Scope != FailureScope.Event)
            {
                _held.Enqueue(share);
                return;
            }

            share.ParkAll();
            Conclude(share);
        }
    }

    /// <summary>Makes the dead letter of an event that was refused for good or given up on.</summary>
    /// <param name="refused">The event.</param>
    /// <param name="attempts">How often it was tried.</param>
    /// <param name="firstTriedAt">When it was tried first.</param>
    public DeadLetter LetterOf(SinkEvent refused, int attempts, DateTimeOffset firstTriedAt) => new()
    {
        Headers = refused.Headers,
        SchemaVersion = refused.SchemaVersion,
        Origin = refused.Origin,
        Part = refused.Part,
        Attempts = Math.Max(1, attempts),
        FirstFailedAt = firstTriedAt,
        Entity = refused.Entity,
        Version = refused.Version,
        Sink = Name,
        Topic = refused.Topic,
        Key = refused.Key,
        Value = refused.Value,
        Error = refused.Failure!.Error,
    };

    /// <summary>Returns why an event is given up on; null when it is not.</summary>
    public static string? GivenUp(DeliveryPolicy policy, int attempts, TimeSpan age)
    {
        if (policy.GiveUpAttempts is { } most && attempts >= most)
            return string.Create(CultureInfo.InvariantCulture, $"Given up after {attempts} attempts (give_up.attempts).");
        if (policy.GiveUpAge is { } oldest && age >= oldest)
            return string.Create(CultureInfo.InvariantCulture, $"Given up after {age.TotalSeconds:0} s (give_up.age).");
        return null;
    }

    /// <summary>Returns the time until the next attempt.</summary>
    public TimeSpan WaitAfter(RetryPolicy policy, int attempts, DeliveryFailure failure)
    {
        var wait = policy.After(Math.Max(1, attempts), _chance());
        return failure.RetryAfter is { } asked && asked > wait ? asked : wait;
    }

    private bool IsClosedTo(SinkEvent made) => _paused is not null || _circuits.IsOpenFor(made);

    private void Pause(SinkShare share, TimeSpan wait)
    {
        if (_isClosed)
            return;
        _pausing[share] = _time.CreateTimer(
            static state =>
            {
                var (outlet, share) = ((Outlet, SinkShare))state!;
                if (outlet._pausing.TryRemove(share, out var timer))
                    timer.Dispose();
                if (!outlet._isClosed)
                    outlet.Deliver(share);
            },
            (this, share),
            wait,
            Timeout.InfiniteTimeSpan);
    }

    // Everything is delivered, refused or to be parked. Parked events need room; without it the share waits.
    private void Conclude(SinkShare share)
    {
        if (share.IsEnded)
            share.Drop();
        if (share.ParkedBytes > 0 && !share.IsReserved)
        {
            if (!TryReserve(share.ParkedBytes))
            {
                _isFull = true;
                _held.Enqueue(share);
                return;
            }

            share.IsReserved = true;
        }

        share.Finish();
    }

    private void FindOverdue(long now)
    {
        foreach (var share in _open.Before(now))
        {
            var policy = share.Target.Policy;
            if (_time.GetElapsedTime(share.PassedAt, now) < policy.Inline)
                continue;
            var error = string.Create(CultureInfo.InvariantCulture, $"The sink has not answered for {_time.GetElapsedTime(share.PassedAt, now).TotalSeconds:0.0} s.");
            _circuits.Overdue(share, error);
            if (policy.Outage == OutagePolicy.Hold || !share.TryAbandon())
                continue;
            _open.Remove(share);
            Conclude(share);
        }
    }
}
