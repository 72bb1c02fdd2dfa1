using System.Collections;
using CdcOrleans.Grains.Collections;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Grains.Deliveries;

/// <summary>
/// The events of a batch for one sink. It is a delivery, which is passed to the sink, and again with what failed for now, until each event
/// is delivered, refused for good, or parked. It may follow another share of the same entity or lane, and then begins when that one is done.
/// </summary>
/// <remarks>
/// Exactly one thread moves a share from one stage to the next: it wins the exchange of <see cref="_stage"/>. All lists belong to this
/// thread. The sink reads the events between <see cref="Pass"/> and <see cref="Complete"/>, so they do not change then.
/// </remarks>
internal sealed class SinkShare(EventBatch batch, SinkTarget target) : Delivery, IReadOnlyList<SinkEvent>
{
    // Stands in _follower for "done": a share that would follow now may begin at once.
    private static readonly SinkShare Nobody = new(null!, null!);

    [ThreadStatic] private static Queue<SinkShare>? _beginning;

    private FirstAndRest<SinkEvent> _open;
    private List<SinkEvent>? _refused;
    private List<SinkEvent>? _parked;
    private HashSet<EntityKey>? _parkedEntities;
    private SinkShare? _before;
    private SinkShare? _follower;
    private (int Open, int Parked) _mark;
    private int _stage;

    private enum Stage
    {
        New,
        AtSink,
        Waiting,
        Abandoned,
        AnsweredLate,
        Done,
    }

    /// <summary>The sink and the policy.</summary>
    public SinkTarget Target { get; } = target;

    /// <summary>The next share of the batch; null for the last one.</summary>
    public SinkShare? Next { get; set; }

    /// <summary>When it was passed to the sink the last time, as a timestamp of the clock.</summary>
    public long PassedAt { get; private set; }

    /// <summary>When it was passed to the sink the first time, as a timestamp of the clock.</summary>
    public long FirstPassedAt { get; private set; }

    /// <summary>When its batch was applied, as a timestamp of the clock, if its times are measured; else 0.</summary>
    public long AppliedAt => batch.AppliedAt;

    /// <summary>How often it was passed to the sink.</summary>
    public int Attempts { get; private set; }

    /// <summary>The last failure for now; null when there was none.</summary>
    public DeliveryFailure? LastFailure { get; private set; }

    /// <summary>Bytes of the events to be parked.</summary>
    public long ParkedBytes { get; private set; }

    /// <summary>Whether the bytes of the parked events are counted at the outlet.</summary>
    public bool IsReserved { get; set; }

    /// <summary>Events without an outcome.</summary>
    public IEnumerable<SinkEvent> Open
    {
        get
        {
            for (var i = 0; i < _open.Count; i++)
                yield return _open[i];
        }
    }

    /// <summary>Events that were refused for good.</summary>
    public IReadOnlyList<SinkEvent> Refused => _refused ?? [];

    /// <summary>Events that were parked.</summary>
    public IReadOnlyList<SinkEvent> Parked => _parked ?? [];

    /// <summary>Whether the events were parked while the sink had them, and the sink has not answered yet.</summary>
    public bool IsAbandoned => Volatile.Read(ref _stage) == (int)Stage.Abandoned;

    /// <summary>Whether the sink answered after the events were parked. Their failures then show the outcomes.</summary>
    public bool IsAnsweredLate => Volatile.Read(ref _stage) == (int)Stage.AnsweredLate;

    /// <summary>Whether the partition counts the share among those that the sink has not answered although their events are parked.</summary>
    public bool IsCounted { get; set; }

    /// <summary>Whether later events of its entities must be parked too.</summary>
    public bool Parks => Parked.Count > 0 || (Target.Policy.Poison == PoisonPolicy.Block && Refused.Count > 0);

    /// <summary>Whether every event has an outcome.</summary>
    public bool IsDone => ReferenceEquals(Volatile.Read(ref _follower), Nobody);

    /// <summary>Stripe of <see cref="OpenShares"/>; -1 before it has one.</summary>
    public int Stripe { get; set; } = -1;

    /// <summary>Neighbour in <see cref="OpenShares"/>.</summary>
    public SinkShare? Older { get; set; }

    /// <summary>Neighbour in <see cref="OpenShares"/>.</summary>
    public SinkShare? Newer { get; set; }

    /// <inheritdoc />
    public override IReadOnlyList<SinkEvent> Events => this;

    // A refused event may block those after it, so they are passed one by one.
    int IReadOnlyCollection<SinkEvent>.Count => Target.Policy.Poison == PoisonPolicy.Block ? Math.Min(1, _open.Count) : _open.Count;

    /// <inheritdoc />
    public SinkEvent this[int index] => _open[index];

    /// <summary>Adds an event. If its entity is parked at the sink, the event is parked behind the earlier ones.</summary>
    public void Add(SinkEvent made, bool isParked)
    {
        if (isParked)
            Park(made);
        else
            _open.Add(made);
    }

    /// <summary>Remembers which events it has now, for <see cref="CutToMark"/>.</summary>
    public void Mark() => _mark = (_open.Count, _parked?.Count ?? 0);

    /// <summary>Removes the events that were added since <see cref="Mark"/>.</summary>
    public void CutToMark()
    {
        _open.CutTo(_mark.Open);
        for (var i = _parked?.Count ?? 0; i > _mark.Parked; i--)
        {
            ParkedBytes -= _parked![i - 1].Size;
            _parked.RemoveAt(i - 1);
        }
    }

    /// <summary>Begins: now, or when another share is done. Events of entities that this one parked are parked behind them.</summary>
    public void Begin(SinkShare? before)
    {
        if (before is not null)
        {
            _before = before;
            if (Interlocked.CompareExchange(ref before._follower, this, null) is null)
                return;
        }

        BeginNow();
    }

    /// <summary>Records that the share is passed to the sink now.</summary>
    public void Pass(long now)
    {
        if (Attempts++ == 0)
            FirstPassedAt = now;
        PassedAt = now;
        Volatile.Write(ref _stage, (int)Stage.AtSink);
    }

    /// <summary>Called by the sink.</summary>
    public override void Complete()
    {
        if (Interlocked.CompareExchange(ref _stage, (int)Stage.Waiting, (int)Stage.AtSink) == (int)Stage.AtSink)
        {
            Target.Outlet.OnAnswered(this);
        }
        else if (Interlocked.CompareExchange(ref _stage, (int)Stage.AnsweredLate, (int)Stage.Abandoned) == (int)Stage.Abandoned)
        {
            Target.Outlet.OnAnsweredLate(this);
            batch.OnAnsweredLate(this);
        }
    }

    /// <summary>
    /// Takes the outcomes of an answer: delivered events leave the share, refused ones become dead letters. Returns the first failure for
    /// now; null when there is none.
    /// </summary>
    public DeliveryFailure? TakeOutcomes()
    {
        var count = ((IReadOnlyList<SinkEvent>)this).Count;
        DeliveryFailure? first = null;
        var remaining = default(FirstAndRest<SinkEvent>);
        for (var i = 0; i < count; i++)
        {
            var made = _open[i];
            if (made.Failure is not { } failure)
                continue;
            if (failure.IsFinal)
            {
                Refuse(made);
                continue;
            }

            first ??= failure;
            made.Failure = null;
            remaining.Add(made);
        }

        for (var i = count; i < _open.Count; i++)
            KeepOrPark(ref remaining, _open[i]);
        _open = remaining;
        if (first is not null)
            LastFailure = first;
        return first;
    }

    /// <summary>Whether the partition has ended. Then nothing more is passed to the sink.</summary>
    public bool IsEnded => batch.IsEnded;

    /// <summary>Whether events are left that are neither delivered, refused nor parked.</summary>
    public bool HasMore => _open.Count > 0 && !IsAbandoned && !IsAnsweredLate;

    /// <summary>Removes all events, because the partition has ended.</summary>
    public void Drop()
    {
        // The sink still reads the list of events that were parked while it had them.
        if (!IsAbandoned)
            _open = default;
        _parked = null;
        Release();
        ParkedBytes = 0;
    }

    /// <summary>Takes its parked events off the count of the outlet, because the partition has ended.</summary>
    public void Release()
    {
        if (IsReserved)
            Target.Outlet.CountParked(0, -ParkedBytes);
        IsReserved = false;
    }

    /// <summary>Gives up on the first event: it becomes a dead letter.</summary>
    public void GiveUpFirst(string error)
    {
        var first = _open[0];
        first.Failure = DeliveryFailure.Refused(error);
        Refuse(first);
        var remaining = default(FirstAndRest<SinkEvent>);
        for (var i = 1; i < _open.Count; i++)
            KeepOrPark(ref remaining, _open[i]);
        _open = remaining;
    }

    /// <summary>Parks all events that the sink has not got.</summary>
    public void ParkAll()
    {
        for (var i = 0; i < _open.Count; i++)
            Park(_open[i]);
        _open = default;
    }

    /// <summary>
    /// Parks the events that the sink has. Returns false when it has answered meanwhile. An answer that comes later is reported to the batch.
    /// </summary>
    public bool TryAbandon()
    {
        if (Interlocked.CompareExchange(ref _stage, (int)Stage.Abandoned, (int)Stage.AtSink) != (int)Stage.AtSink)
            return false;

        // The sink still reads the list of the events.
        for (var i = 0; i < _open.Count; i++)
            Park(_open[i]);
        return true;
    }

    /// <summary>Ends the share: every event has an outcome. The share that follows begins.</summary>
    public void Finish()
    {
        if (Volatile.Read(ref _stage) != (int)Stage.Abandoned)
            Interlocked.CompareExchange(ref _stage, (int)Stage.Done, (int)Stage.Waiting);
        _before = null;
        if (Parked.Count > 0 || Refused.Count > 0)
            batch.OnSettled(this);
        var follower = Interlocked.Exchange(ref _follower, Nobody);
        batch.OnDone();
        if (follower is not null)
            BeginNext(follower);
    }

    /// <inheritdoc />
    public IEnumerator<SinkEvent> GetEnumerator()
    {
        for (var i = 0; i < ((IReadOnlyList<SinkEvent>)this).Count; i++)
            yield return _open[i];
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    // A share that begins may be done at once, and so may those after it. They begin one after the other, not one within the other.
    private static void BeginNext(SinkShare share)
    {
        if (_beginning is { } others)
        {
            others.Enqueue(share);
            return;
        }

        _beginning = new Queue<SinkShare>();
        try
        {
            share.BeginNow();
            while (_beginning.TryDequeue(out var next))
                next.BeginNow();
        }
        finally
        {
            _beginning = null;
        }
    }

    private void BeginNow()
    {
        if (_before is { _parkedEntities: { } parked })
        {
            (_parkedEntities ??= []).UnionWith(parked);
            var remaining = default(FirstAndRest<SinkEvent>);
            for (var i = 0; i < _open.Count; i++)
                KeepOrPark(ref remaining, _open[i]);
            _open = remaining;
        }

        _before = null;
        Target.Outlet.Deliver(this);
    }

    private void KeepOrPark(ref FirstAndRest<SinkEvent> kept, SinkEvent made)
    {
        if (_parkedEntities is { } parked && parked.Contains(made.Entity))
            Park(made);
        else
            kept.Add(made);
    }

    private void Park(SinkEvent made)
    {
        (_parked ??= []).Add(made);
        (_parkedEntities ??= []).Add(made.Entity);
        ParkedBytes += made.Size;
    }

    private void Refuse(SinkEvent made)
    {
        (_refused ??= []).Add(made);
        if (Target.Policy.Poison == PoisonPolicy.Block)
            (_parkedEntities ??= []).Add(made.Entity);
    }
}
