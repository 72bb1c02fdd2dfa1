using System.Runtime.InteropServices;
using CdcOrleans.Grains.Budgets;
using CdcOrleans.Grains.Checkpoints;
using CdcOrleans.Grains.Collections;
using CdcOrleans.Grains.Entities;
using CdcOrleans.Grains.Runtime;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;

namespace CdcOrleans.Grains.Partitions;

/// <summary>
/// Knows which entities of a partition are awake, and gives them their changes. The changes of one turn go to the activation together. A
/// single change of an entity that is asleep is applied in passing. This class makes every transition of <see cref="EntityLifecycle"/>.
/// Runs on the partition's scheduler.
/// </summary>
internal sealed class EntityRoster
{
    /// <summary>Time before a failed activation is requested again.</summary>
    private static readonly TimeSpan WakeRetry = TimeSpan.FromMilliseconds(50);

    private readonly SourceRuntime _source;
    private readonly IEntityHost _host;
    private readonly ParkedEntities _parked;
    private readonly IEntityWaker _waker;
    private readonly Action<EntityPresence> _wakeFailed;
    private readonly Action<EntityPresence> _retry;
    private readonly Action<EntityPresence, EntityState?, long> _loaded;
    private readonly Dictionary<EntityKey, EntityPresence> _present = [];
    private readonly AwakeEntities _awake;
    private readonly List<EntityPresence> _listed = [];
    private readonly WakeQueue _wakes;
    private readonly Dictionary<EntityKey, int> _paused = [];
    private int _passed;

    /// <param name="source">The runtime of the source on this silo.</param>
    /// <param name="host">The partition, as its entities see it.</param>
    /// <param name="parked">The entities with parked events.</param>
    /// <param name="waker">Asks for activations.</param>
    /// <param name="wakeFailed">Called from any thread when an entity could not be activated.</param>
    /// <param name="retry">Called from any thread when it is time to try this again.</param>
    /// <param name="loaded">Called from any thread with a state that was read for a change in passing, and with the bytes reserved for it.</param>
    public EntityRoster(
        SourceRuntime source, IEntityHost host, ParkedEntities parked, IEntityWaker waker, Action<EntityPresence> wakeFailed, Action<EntityPresence> retry,
        Action<EntityPresence, EntityState?, long> loaded)
    {
        _source = source;
        _host = host;
        _parked = parked;
        _waker = waker;
        _wakeFailed = wakeFailed;
        _retry = retry;
        _loaded = loaded;
        _awake = new AwakeEntities(source.Budget, source.Figures);
        _wakes = new WakeQueue(source.Budget);
    }

    /// <summary>Number of entities that are not only asleep.</summary>
    public int Count => _present.Count;

    /// <summary>Number of changes that activations have and have not finished, or that are being applied in passing.</summary>
    public int InProgress { get; private set; }

    /// <summary>Returns the phase of an entity.</summary>
    public EntityPhase PhaseOf(EntityKey key) => _present.TryGetValue(key, out var presence) ? presence.Phase : EntityPhase.Asleep;

    /// <summary>Returns the keys of a table's entities that have changes which are not finished.</summary>
    public IEnumerable<string> Busy(string table) => _present.Values
        .Where(p => p.Key.Table == table && (p.Waiting.Count > 0 || p.Given > 0 || p.Phase == EntityPhase.Passing)).Select(p => p.Key.Key);

    /// <summary>Whether changes wait because their entity is paused.</summary>
    public bool HasPaused => _paused.Count > 0;

    /// <summary>Gives no changes to an entity until <see cref="Resume"/>. It may be paused several times.</summary>
    public void Pause(EntityKey key) => CollectionsMarshal.GetValueRefOrAddDefault(_paused, key, out _)++;

    /// <summary>Ends a <see cref="Pause"/>.</summary>
    public void Resume(EntityKey key)
    {
        if (--CollectionsMarshal.GetValueRefOrAddDefault(_paused, key, out _) > 0)
            return;
        _paused.Remove(key);
        if (_present.TryGetValue(key, out var presence))
            List(presence);
    }

    /// <summary>Accepts a change. Its entity gets it at the end of the turn.</summary>
    public void Take(in PendingChange pending)
    {
        var presence = Find(pending.Change.Entity);
        presence.TableId = pending.Change.Table.TableId;
        presence.Waiting.Add(pending);
        List(presence);
    }

    /// <summary>Ends a turn of the partition: gives changes to entities, and puts entities to sleep while the budget is exceeded.</summary>
    public void EndTurn()
    {
        var now = _source.Time.GetTimestamp();

        // By index, because the list may grow during the loop.
        for (var i = 0; i < _listed.Count && !_host.IsEnded; i++)
        {
            var presence = _listed[i];
            presence.IsListed = false;
            if (presence.Waiting.Count == 0 || (_paused.Count > 0 && _paused.ContainsKey(presence.Key)))
                continue;
            if (presence.Phase == EntityPhase.Asleep)
                Begin(presence);
            else if (presence.Phase is EntityPhase.Awake or EntityPhase.Applying)
                Give(presence, now);
        }

        _listed.Clear();
        while (_wakes.TryNext(out var next))
        {
            next.IsQueuedToWake = false;

            // Without changes it has been awake meanwhile. Then it may have left the roster, and its activation would never be admitted.
            if (next.Waiting.Count > 0)
                Wake(next);
        }

        _awake.Trim(Leave);
        if (_passed > 0)
        {
            _source.Figures.Passed(_passed);
            _passed = 0;
        }
    }

    /// <summary>Puts entities to sleep that had nothing to do for a while.</summary>
    public void Sweep(TimeSpan idle) => _awake.Sweep(idle, _source.Time, Leave);

    /// <summary>
    /// Puts the entities of tables to sleep, because their stored rows are deleted. No change of them may be in progress.
    /// </summary>
    public void Rest(int[] tables)
    {
        foreach (var presence in _present.Values.Where(p => p.Phase == EntityPhase.Awake && (p.TableId == 0 || tables.Contains(p.TableId))).ToList())
            Leave(presence, "The stored rows of its table are deleted.");
    }

    /// <summary>Asks the activation of an entity to send its next events to a sink again.</summary>
    public UnparkResult Unpark(ParkedEntity parked)
    {
        if (!_present.TryGetValue(parked.Key, out var presence))
            return UnparkResult.Asleep;
        if (presence.Phase is not (EntityPhase.Awake or EntityPhase.Applying))
            return UnparkResult.Later;
        presence.Activation!.Unpark(parked.Outlet, parked.Seen);
        return UnparkResult.Asked;
    }

    /// <summary>Asks the activation of an entity to park its next events for a sink.</summary>
    public UnparkResult Join(ParkedEntity parked)
    {
        if (!_present.TryGetValue(parked.Key, out var presence))
            return UnparkResult.Asleep;
        if (presence.Phase is not (EntityPhase.Awake or EntityPhase.Applying))
            return UnparkResult.Later;
        presence.Activation!.Join(parked.Outlet);
        return UnparkResult.Asked;
    }

    /// <summary>Ends all activations, because the partition ends.</summary>
    public void Close()
    {
        foreach (var presence in _present.Values)
        {
            if (presence.Phase is EntityPhase.Awake or EntityPhase.Applying)
                Leave(presence, "Its partition ended.");
            if (presence.Phase == EntityPhase.Leaving)
                _awake.Left(presence);
            End(presence.Next, "Its partition ended.");
        }

        _present.Clear();
    }

    /// <summary>Continues a change in passing with the state that was read for it.</summary>
    public void Loaded(EntityPresence presence, EntityState? state, long room) => Pass(presence, state, room);

    /// <summary>Handles the end of an apply in passing.</summary>
    public void Passed(EntityApply apply)
    {
        var presence = apply.Presence;
        presence.Lifecycle.Passed();
        InProgress--;
        _passed++;
        Record(apply);
        Settle(presence);
    }

    /// <summary>Handles the end of an apply of an activation.</summary>
    public void Applied(EntityApply apply)
    {
        var presence = apply.Presence;
        Record(apply);
        ((EntityGrain)apply.Owner).OnRecorded();
        Answered(presence, apply.Count);
        if (presence.Phase is EntityPhase.Awake or EntityPhase.Applying)
            _awake.Account(presence, apply.Bytes);
        if (apply.Fault is { } fault)
            _source.Figures.Faulted(presence.Key, fault);
        if (apply.Fault is not null && presence.Phase == EntityPhase.Awake)
            Leave(presence, "A change of it could not be applied.");
    }

    // What the apply parked and gave up on is in the buffer already: a stored state without it would skip its changes after a crash, and they
    // would be lost.
    private void Record(EntityApply apply)
    {
        if (apply.IsChanged)
            _host.Buffer.Add(apply.Presence.Key, apply.Outcome!, apply.IsLoneCreate ? Retention.Created : Retention.Used);
        _source.Memory.Give(apply.ReleaseRoom());
    }

    /// <summary>Handles a failed activation: it is requested again after a short time.</summary>
    public void WakeFailed(EntityPresence presence)
    {
        if (presence.Phase != EntityPhase.Waking)
            return;
        presence.Lifecycle.WakeFailed();
        _wakes.End();
        _ = RetryLater(presence);
    }

    /// <summary>Requests a failed activation again, if it is still needed.</summary>
    public void Retry(EntityPresence presence)
    {
        if (presence.Phase == EntityPhase.Asleep && presence.Waiting.Count > 0)
            List(presence);
    }

    /// <summary>Admits a new activation: the partition requested it, or a call to the entity created it.</summary>
    public void Woken(EntityGrain entity)
    {
        var presence = Find(entity.Key);
        if (presence.Phase is EntityPhase.Waking or EntityPhase.Asleep)
            Admit(presence, entity);
        else if (presence.Next is null && !ReferenceEquals(presence.Activation, entity))
            presence.Next = entity;
        else
            End(entity, "Another activation of the entity came before it.");
    }

    /// <summary>Handles the end of an activation: the partition or Orleans ended it.</summary>
    public void Gone(EntityGrain entity, FirstAndRest<PendingChange> remaining)
    {
        if (!_present.TryGetValue(entity.Key, out var presence))
            return;
        if (ReferenceEquals(presence.Next, entity))
            presence.Next = null;
        if (!ReferenceEquals(presence.Activation, entity))
            return;
        if (presence.Phase != EntityPhase.Leaving)
            BeginLeaving(presence);
        presence.IsGone = true;
        presence.PutBack(remaining);
        Answered(presence, remaining.Count);
    }

    /// <summary>Takes back changes that reached an activation after its end.</summary>
    public void Returned(EntityWork work)
    {
        work.Presence.PutBack(work.Changes);
        Answered(work.Presence, work.Changes.Count);
    }

    /// <summary>Sets the bytes that an activation uses in memory.</summary>
    public void Sized(EntityGrain entity, int bytes)
    {
        if (_present.TryGetValue(entity.Key, out var presence) && ReferenceEquals(presence.Activation, entity) && presence.Phase != EntityPhase.Leaving)
            _awake.Account(presence, bytes);
    }

    /// <summary>Ends an activation that was called, but of whose entity nothing is known.</summary>
    public void Needless(EntityGrain entity)
    {
        if (_present.TryGetValue(entity.Key, out var presence) && ReferenceEquals(presence.Activation, entity)
            && presence is { Phase: EntityPhase.Awake, Waiting.Count: 0 })
            Leave(presence, "Nothing is known of it.");
    }

    private async Task RetryLater(EntityPresence presence)
    {
        await Task.Delay(WakeRetry, _source.Time).ConfigureAwait(false);
        _retry(presence);
    }

    private EntityPresence Find(EntityKey key)
    {
        ref var presence = ref CollectionsMarshal.GetValueRefOrAddDefault(_present, key, out _);
        return presence ??= new EntityPresence(key);
    }

    private void List(EntityPresence presence)
    {
        if (presence.IsListed)
            return;
        presence.IsListed = true;
        _listed.Add(presence);
    }

    // An entity that is asleep has changes. A single change is applied in passing, unless the entity has a state that is not durable yet.
    private void Begin(EntityPresence presence)
    {
        var first = presence.Waiting[0];
        var needsNone = _host.NeedsNoState(first.Change, first.Plan.Mode) || first.Plan.Backfill?.IsNew(presence.Key.Key) == true;
        EntityState? recent = null;
        if (presence.Waiting.Count > 1 || first.Plan.Activation == EntityActivation.Always || first.Plan.HasSlowSink
            || (needsNone ? _host.Buffer.HasUnsaved(presence.Key) : _host.Buffer.HasUnsaved(presence.Key, out recent)))
        {
            Wake(presence);
            return;
        }

        presence.Lifecycle.Pass();
        InProgress++;
        if (needsNone || recent is not null)
            Pass(presence, recent, room: 0);
        else
            _source.States.Request(new PassingRead(presence, _loaded), first.Change, first.Plan);
    }

    // Applies a change as an awake entity does, but without an activation. If there is no room for it now, or if it fails, the entity is
    // woken. A state that was read has room already.
    private void Pass(EntityPresence presence, EntityState? state, long room)
    {
        if (_host.IsEnded)
        {
            _source.Memory.Give(room);
            return;
        }

        var first = presence.Waiting[0];
        if (room == 0 && EntityApply.RoomFor(state, in first, 1) is var needed and > MemoryBudget.Free)
            room = _source.Memory.TryTake(needed) ? needed : -1;
        if (room >= 0)
        {
            var apply = new EntityApply(_host, _parked, presence, _source.Name, _source.Database, state, room);
            try
            {
                apply.Take(in first);
                if (_host.Samples.Applied(first.Place) is var at and not 0)
                    apply.AppliedAt = at;
            }
#pragma warning disable CA1031 // The entity is woken and tries again. It reports the error if that fails too.
            catch (Exception)
#pragma warning restore CA1031
            {
                _source.Memory.Give(apply.ReleaseRoom());
                apply = null;
            }

            if (apply is not null)
            {
                presence.Waiting.RemoveFirst(1);
                if (apply.IsEmpty)
                    _host.OnFinished(apply);
                else
                    apply.Send();
                return;
            }
        }

        presence.Lifecycle.Passed();
        InProgress--;
        if (presence.Next is { } next)
            Admit(presence, next);
        else
            Wake(presence);
    }

    private void Wake(EntityPresence presence)
    {
        if (presence.Phase != EntityPhase.Asleep || presence.IsQueuedToWake || !_wakes.TryBegin(presence))
            return;
        presence.Lifecycle.Wake();
        _waker.Wake(_host, presence, _wakeFailed);
    }

    private void Admit(EntityPresence presence, EntityGrain entity)
    {
        if (presence.Phase == EntityPhase.Waking)
            _wakes.End();
        presence.Lifecycle.Woken();
        presence.Activation = entity;
        presence.Next = null;
        presence.IsGone = false;
        _awake.Add(
            presence, EntityGrain.Overhead + (2 * presence.Key.Key.Length), _source.Time.GetTimestamp(), isBack: _host.Buffer.Find(presence.Key) is not null);
        var parkedAt = _parked.Admitted(presence.Key);
        if (presence.Waiting.Count > 0)
            List(presence);
        if (presence.Waiting.Count == 0 || parkedAt is not null)
            Queue(new EntityWork(entity, presence, default) { ParkedAt = parkedAt });
    }

    private void Give(EntityPresence presence, long now)
    {
        presence.Lifecycle.Give();
        var changes = presence.Waiting;
        presence.Waiting = default;
        presence.Given += changes.Count;
        InProgress += changes.Count;
        _awake.Use(presence, now);
        Queue(new EntityWork(presence.Activation!, presence, changes));
    }

    private static void Queue(EntityWork work) =>
        work.Entity.GrainContext.Scheduler.QueueAction(static w => ((EntityWork)w).Entity.Take((EntityWork)w), work);

    private void Answered(EntityPresence presence, int changes)
    {
        presence.Given -= changes;
        InProgress -= changes;
        if (presence.Given > 0)
            return;
        if (presence.Phase == EntityPhase.Applying)
        {
            presence.Lifecycle.Answered();
        }
        else if (presence is { Phase: EntityPhase.Leaving, IsGone: true })
        {
            presence.Lifecycle.Left();
            presence.Activation = null;
            _awake.Left(presence);
            _parked.Left(presence.Key);
            Settle(presence);
        }
    }

    private void Leave(EntityPresence presence, string reason)
    {
        BeginLeaving(presence);
        End(presence.Activation, reason);
    }

    private void BeginLeaving(EntityPresence presence)
    {
        presence.Lifecycle.Leave();
        _awake.Remove(presence);
    }

    // The entity is asleep now. Admit a waiting activation, or list the entity if changes wait. Otherwise remove it from this roster.
    private void Settle(EntityPresence presence)
    {
        if (presence.Next is { } next)
            Admit(presence, next);
        else if (presence.Waiting.Count > 0)
            List(presence);
        else
            _present.Remove(presence.Key);
    }

    private static void End(EntityGrain? entity, string reason) =>
        entity?.GrainContext.Deactivate(new DeactivationReason(DeactivationReasonCode.ApplicationRequested, reason));

    private sealed class PassingRead(EntityPresence presence, Action<EntityPresence, EntityState?, long> loaded) : IStateWaiter
    {
        public void OnLoaded(EntityState? state, long room) => loaded(presence, state, room);
    }
}
