using CdcOrleans.Grains.Checkpoints;
using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Entities;
using CdcOrleans.Grains.Runtime;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Partitions;

/// <summary>
/// The entities of a partition that have parked events, and at which sinks. It adds what batches parked to the checkpoint buffer, tries the
/// oldest events again when they are due, and lets an entity go on when none is left. Runs on the partition's scheduler.
/// </summary>
internal sealed partial class ParkedEntities : IParkedEntities
{
    /// <summary>Time until the next look, when something could not be tried although it was due.</summary>
    private static readonly TimeSpan Postponed = TimeSpan.FromMilliseconds(250);

    private readonly SourceRuntime _source;
    private readonly CheckpointBuffer _buffer;
    private readonly Action<object> _answer;
    private readonly Dictionary<EntityKey, List<ParkedEntity>> _entities = [];
    private readonly List<ParkedEntityState> _withoutRoute = [];
    private readonly List<ParkedEntity> _paused = [];
    private bool _isStopped;
    private readonly Dictionary<Outlet, ParkedQueue> _queues = [];

    /// <param name="source">The runtime of the source on this silo.</param>
    /// <param name="buffer">Receives what must become durable.</param>
    /// <param name="stored">What is parked at the start of the partition.</param>
    /// <param name="answer">Queues an answer for the partition; any thread.</param>
    public ParkedEntities(SourceRuntime source, CheckpointBuffer buffer, IReadOnlyList<ParkedEntityState> stored, Action<object> answer)
    {
        _source = source;
        _buffer = buffer;
        _answer = answer;
        foreach (var state in stored)
            Load(state);
    }

    /// <summary>Asks an awake entity to go on (<see cref="EntityGrain.Unpark"/>); set by the partition.</summary>
    public Func<ParkedEntity, UnparkResult> Unpark { get; set; } = _ => UnparkResult.Asleep;

    /// <summary>Makes the later changes of an entity wait; set by the partition.</summary>
    public Action<EntityKey> Pause { get; set; } = _ => { };

    /// <summary>Ends the wait; set by the partition.</summary>
    public Action<EntityKey> Resume { get; set; } = _ => { };

    /// <summary>Number of entities with parked events, counted for each sink.</summary>
    public int Count { get; private set; }

    /// <summary>Whether a sink that can be reached has parked events of the partition now.</summary>
    public bool IsTrying => Count > 0 && (_pages > 0 || _queues.Any(q => q.Value.InProgress > 0 && !q.Key.IsOpen));

    /// <inheritdoc />
    public bool IsParked(EntityKey entity, Outlet outlet) => Count > 0 && Find(entity, outlet) is not null;

    /// <summary>Returns the sinks at which an entity is parked, when a new activation of it was admitted; null for none.</summary>
    public IReadOnlyList<Outlet>? Admitted(EntityKey entity)
    {
        if (Count == 0 || !_entities.TryGetValue(entity, out var all))
            return null;
        foreach (var parked in all)
            parked.Seen = 0;
        return [.. all.Select(p => p.Outlet)];
    }

    /// <summary>Continues what an activation was asked and did not answer before it ended.</summary>
    public void Left(EntityKey entity)
    {
        if (Count == 0 || !_entities.TryGetValue(entity, out var all))
            return;
        foreach (var parked in all)
        {
            parked.IsAsked = false;
            if (parked.Phase != ParkedPhase.Unparking)
                continue;
            parked.Phase = ParkedPhase.Waiting;
            Enqueue(parked);
        }
    }

    /// <summary>Begins no further attempt, because the partition leaves.</summary>
    public void Stop() => _isStopped = true;

    /// <summary>Takes what is parked off the counts of the outlets, because the partition ends.</summary>
    public void Close()
    {
        foreach (var outlet in _queues.Keys)
            outlet.SetOldestParked(this, null);
        foreach (var parked in _entities.Values.SelectMany(e => e))
            parked.Outlet.CountParked(-parked.Events, -parked.Bytes);
        foreach (var state in _withoutRoute)
            _source.Outlets.CountUnreachable(state.Sink, -state.Events, -state.Bytes);
        _withoutRoute.Clear();
        _entities.Clear();
        Count = 0;
    }

    /// <summary>Takes what a share parked or gave up on, and blocks entities with a dead letter where the policy says so.</summary>
    public void Take(SinkShare share)
    {
        foreach (var refused in share.Refused)
        {
            _buffer.Add(share.Target.Outlet.LetterOf(refused, share.Attempts, FirstTriedAt(share)));
            if (share.Target.Policy.Poison == PoisonPolicy.Block)
                Block(Get(refused.Entity, share.Target), refused.Failure!.Error);
        }

        _source.Figures.DeadLetters(share.Refused.Count);
        if (share.Parks)
            Park(share);
    }

    /// <summary>Takes the answer of an activation that was asked to go on.</summary>
    public void Unparked(EntityKey entity, Outlet outlet, bool isUnparked)
    {
        if (Find(entity, outlet) is not { Phase: ParkedPhase.Unparking } parked)
            return;
        parked.Phase = ParkedPhase.Waiting;

        // The activation counts anew when it is asked to park again.
        if (isUnparked)
            parked.Seen = 0;
        if (isUnparked && parked.Returning.Count == 0 && parked.History is null)
            Remove(parked);
        else
            Enqueue(parked, _source.Time.GetUtcNow() + Postponed);

        // If a dead letter waits, the entity is asked to park its next events again.
        Join(parked);
    }

    private void Load(ParkedEntityState state)
    {
        if (_source.Routes.TargetOf(state.Entity.Table, state.Sink) is not { } target)
        {
            // Its events stay in the store until there is a route again.
            _withoutRoute.Add(state);
            _source.Outlets.CountUnreachable(state.Sink, state.Events, state.Bytes);
            return;
        }

        var parked = Get(state.Entity, target);
        parked.Events = state.Events;
        parked.Bytes = state.Bytes;
        parked.Newest = state.Newest;
        parked.Attempts = state.Attempts;
        parked.FirstTriedAt = state.FirstTriedAt;

        // The policy may have been changed: nobody waits longer than it says now.
        var latest = _source.Time.GetUtcNow() + parked.Policy.Backoff.Most;
        parked.DueAt = state.DueAt < latest ? state.DueAt : latest;
        parked.LastError = state.LastError;
        parked.IsBlocked = state.IsBlocked;
        parked.Outlet.CountParked(state.Events, state.Bytes);
        Enqueue(parked);
    }

    private void Park(SinkShare share)
    {
        var now = _source.Time.GetUtcNow();
        var isAbandoned = share.IsAbandoned;
        foreach (var made in share.Parked)
        {
            var parked = Get(made.Entity, share.Target);
            var isRow = IsRow(made);
            var one = isRow ? PlaceLast(parked, made, now) : new ParkedEvent(parked.Outlet.Name, made.Version, made, now);
            if (isRow && (isAbandoned || share.IsAnsweredLate))
                (parked.Replayed ??= [])[made] = one;
            parked.Policy = share.Target.Policy;
            if (one.Position <= parked.Newest)
            {
                // It was parked before a restart, and came again.
                parked.Outlet.CountParked(0, -made.Size);
                continue;
            }

            parked.Newest = one.Position;
            if (made.Size > ParkedEvent.MostBytes)
            {
                made.Failure = DeliveryFailure.Refused($"An event of {made.Size} bytes is too large to be parked. {share.LastFailure?.Error}");
                _buffer.Add(parked.Outlet.LetterOf(made, share.Attempts, FirstTriedAt(share)));
                _buffer.Set(parked.State);
                _source.Figures.DeadLetters(1);
                parked.Outlet.CountParked(0, -made.Size);
                Enqueue(parked);
                continue;
            }

            if (parked.Events == 0)
            {
                parked.Attempts = share.Attempts;
                parked.FirstTriedAt = FirstTriedAt(share);
                parked.LastError = share.LastFailure?.Error ?? parked.LastError;
                parked.DueAt = share.LastFailure is { Scope: FailureScope.Event } failure ? now + WaitAfter(parked, failure) : now;
                Enqueue(parked);
            }

            parked.Events++;
            parked.Outlet.CountParked(1, 0);
            parked.Bytes += made.Size;
            _buffer.Park(one, parked.State);
        }

        foreach (var entity in share.Parked.Concat(share.Refused).Select(e => e.Entity).Distinct())
        {
            if (Find(entity, share.Target.Outlet) is { } parked)
                parked.Seen++;
        }

        if (!isAbandoned && !share.IsAnsweredLate)
            return;
        share.IsCounted = true;
        foreach (var entity in share.Events.Select(e => e.Entity).Distinct())
            Find(entity, share.Target.Outlet)!.Outstanding++;
        if (share.IsAnsweredLate)
            AnsweredLate(share);
    }

    private DateTimeOffset FirstTriedAt(SinkShare share) =>
        _source.Time.GetUtcNow() - (share.Attempts > 0 ? _source.Time.GetElapsedTime(share.FirstPassedAt) : TimeSpan.Zero);

    private void GoOn(ParkedEntity parked)
    {
        if (!parked.IsEmpty || parked.Phase != ParkedPhase.Waiting)
            return;

        // After a crash, a change that is not finished comes again. It must be known then that its event was parked and delivered.
        if (parked.Newest.Place > _buffer.Progress)
        {
            Enqueue(parked, _source.Time.GetUtcNow() + Postponed);
            return;
        }

        switch (Unpark(parked))
        {
            case UnparkResult.Asleep:
                Remove(parked);
                break;
            case UnparkResult.Asked:
                parked.Phase = ParkedPhase.Unparking;
                break;
            default:
                Enqueue(parked, _source.Time.GetUtcNow() + Postponed);
                break;
        }
    }

    private void Block(ParkedEntity parked, string error)
    {
        parked.IsBlocked = true;
        parked.LastError = error;
        _buffer.Set(parked.State);
    }

    private ParkedEntity? Find(EntityKey entity, Outlet outlet)
    {
        if (!_entities.TryGetValue(entity, out var all))
            return null;
        foreach (var parked in all)
        {
            if (ReferenceEquals(parked.Outlet, outlet))
                return parked;
        }

        return null;
    }

    private ParkedEntity Get(EntityKey entity, SinkTarget target)
    {
        if (Find(entity, target.Outlet) is { } known)
            return known;
        var added = new ParkedEntity(entity, target.Outlet, target.Policy);
        if (!_entities.TryGetValue(entity, out var all))
            _entities.Add(entity, all = new List<ParkedEntity>(1));
        all.Add(added);
        Count++;
        return added;
    }

    private void Remove(ParkedEntity parked)
    {
        var all = _entities[parked.Key];
        all.Remove(parked);
        if (all.Count == 0)
            _entities.Remove(parked.Key);
        EndPause(parked);
        parked.Ticket++;
        parked.IsOver = true;
        Count--;
        if (Count == 0)
            ShowOldest();
        _buffer.Set(parked.State);
    }

    private void Enqueue(ParkedEntity parked) => Enqueue(parked, parked.DueAt);

    private void Enqueue(ParkedEntity parked, DateTimeOffset at)
    {
        if (!_queues.TryGetValue(parked.Outlet, out var queue))
            _queues.Add(parked.Outlet, queue = new ParkedQueue());
        queue.Add(parked, at);
    }

    private static TimeSpan WaitAfter(ParkedEntity parked, DeliveryFailure failure) =>
        parked.Outlet.WaitAfter(parked.Policy.Backoff, parked.Attempts, failure);
}
