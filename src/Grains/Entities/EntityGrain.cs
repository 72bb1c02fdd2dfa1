using CdcOrleans.Grains.Budgets;
using CdcOrleans.Grains.Checkpoints;
using CdcOrleans.Grains.Collections;
using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Grains.Placement;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Retries;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;
using Orleans.Concurrency;
using Orleans.GrainDirectory;

namespace CdcOrleans.Grains.Entities;

/// <summary>
/// One entity: a row of a captured table, as an actor. It has the last applied version and the current row in memory, and handles the
/// changes of the row, one apply at a time. All code here runs on the scheduler of the activation, one turn after the other. So the order
/// and the idempotency of an entity need no lock.
/// <para>
/// The path of a change: the partition queues <see cref="Take"/> with the changes of one of its turns. <see cref="Next"/> begins an apply
/// unless one is in progress. <see cref="Apply"/> skips changes that are not newer than the state, makes the events and sends them to the
/// sinks. When the first sink is done with them, the entity has the new state and continues with the waiting changes: so a slow sink holds
/// up no other. At each sink the events stay in order, because those of the next apply follow those of this one. When every event is
/// delivered, refused or parked at every sink, <see cref="Delivered"/> notifies the partition, in the order of the applies, and the partition
/// adds the state to the checkpoint buffer.
/// </para>
/// <para>
/// It is not registered in a directory: its silo is computed from its partition (<see cref="EntityDirectory"/>). Its partition or Orleans
/// ends the activation. Changes that it has not begun to apply then go back to the partition.
/// </para>
/// </summary>
[KeepAlive]
[Reentrant]
[GrainDirectory(EntityDirectory.Name)]
[PartitionPlacement]
internal sealed partial class EntityGrain : IGrainBase, IEntityGrain, IApplyOwner, IParkedEntities, IStateWaiter, IRoomWaiter
{
    /// <summary>
    /// Bytes that an activation is counted with besides its key and its state. Measured: 2,300 live bytes; the rest is what the garbage
    /// collector keeps around so many small objects.
    /// </summary>
    public const int Overhead = 2900;

    /// <summary>Most applies that some sink has not finished. Beyond it, the entity waits for its slowest sink.</summary>
    private const int MostUnfinished = 1000;

    /// <summary>Time between a failed apply and the second attempt.</summary>
    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(100);

    private readonly EntityId _id;
    private readonly int _partition;
    private readonly EntityHosts _hosts;
    private readonly IGrainFactory _grains;
    private readonly IGrainContext _context;
    private IEntityHost? _host;
    private EntityPresence? _presence;
    private FirstAndRest<PendingChange> _waiting;
    private UnfinishedApplies _unfinished;
    private EntityState? _state;
    private bool _isKnown;

    // Whether the next apply was admitted, and the bytes reserved for it in the memory budget.
    private bool _hasRoom;
    private long _room;
    private int _failures;

    // Applies that were reported to the partition, and those of them whose states are in the checkpoint buffer.
    private int _reported;
    private int _recorded;
    private ITimer? _pause;
    private Step _step;

    /// <param name="context">The activation.</param>
    /// <param name="partitions">Number of partitions of the entity's source.</param>
    /// <param name="hosts">The partitions of this silo.</param>
    /// <param name="grains">Finds the partition's grain.</param>
    public EntityGrain(IGrainContext context, Func<string, int> partitions, EntityHosts hosts, IGrainFactory grains)
    {
        _context = context;
        _hosts = hosts;
        _grains = grains;
        _id = EntityId.Parse(context.GrainId.Key.ToString()!);
        _partition = _id.Key.Partition(partitions(_id.Source));
    }

    // What the activation is doing. Changes wait unless it is Idle.
    private enum Step : byte
    {
        Idle,
        ReadingState,
        WaitingForRoom,
        Delivering,
        PausingAfterFailure,
        Gone,
    }

    /// <inheritdoc />
    public IGrainContext GrainContext => _context;

    /// <summary>The entity within its source.</summary>
    public EntityKey Key => _id.Key;

    /// <inheritdoc />
    public Task OnActivateAsync(CancellationToken cancellationToken)
    {
        Attach();
        return Task.CompletedTask;
    }

    /// <inheritdoc />
    public Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        // A delivery that is in progress ends later, in Delivered. Until then the partition gives changes of the entity to no other activation.
        _step = Step.Gone;
        GiveRoom();
        var remaining = _waiting;
        _waiting = default;
        _host?.OnGone(this, remaining);
        return Task.CompletedTask;
    }

    /// <summary>Accepts changes from the partition. After the first call, all changes of the entity come to this activation.</summary>
    public void Take(EntityWork work) => Turn(static (entity, work) => entity.Accept(work), work);

    /// <summary>Called when the requested state was read. Any thread.</summary>
    public void OnLoaded(EntityState? state, long room) =>
        _context.Scheduler.QueueAction(() => Turn(static (entity, loaded) => entity.Loaded(loaded.state, loaded.room), (state, room)));

    /// <summary>Called when there is room for the apply. Any thread.</summary>
    public bool OnRoom(long bytes)
    {
        if (_host!.IsEnded)
            return false;
        _context.Scheduler.QueueAction(() => Turn(static (entity, bytes) => entity.Entered(bytes), bytes));
        return true;
    }

    /// <inheritdoc />
    public bool IsEnded => _host!.IsEnded;

    /// <inheritdoc />
    public void OnFinished(EntityApply apply) => _context.Scheduler.QueueAction(
        static a => ((EntityGrain)((EntityApply)a).Owner).Turn(static (entity, apply) => entity.Delivered(apply), (EntityApply)a), apply);

    /// <inheritdoc />
    public void OnFirstDone(EntityApply apply) => _context.Scheduler.QueueAction(
        static a => ((EntityGrain)((EntityApply)a).Owner).Turn(static (entity, apply) => entity.FirstDone(apply), (EntityApply)a), apply);

    /// <inheritdoc />
    public void OnSettled(SinkShare share) => _host!.OnSettled(share);

    /// <inheritdoc />
    public void OnUnformatted(IReadOnlyList<DeadLetter> letters) => _host!.OnUnformatted(letters);

    /// <summary>Records that the state after an apply is in the checkpoint buffer. Called by the partition.</summary>
    public void OnRecorded() => Interlocked.Increment(ref _recorded);

    /// <inheritdoc />
    public void OnAnsweredLate(SinkShare share) => _host!.OnAnsweredLate(share);

    /// <inheritdoc />
    public bool IsParked(EntityKey entity, Outlet outlet) => _unfinished.IsParked(outlet);

    /// <summary>
    /// Asks whether the entity can send its next events to a sink again, because the partition has delivered all parked ones. It cannot when
    /// it has parked more than the partition has seen. Any thread.
    /// </summary>
    /// <param name="outlet">The way to the sink.</param>
    /// <param name="seen">How many applies with events parked there the partition has seen of this activation.</param>
    public void Unpark(Outlet outlet, int seen) => _context.Scheduler.QueueAction(() => Turn(
        static (entity, asked) => entity._host!.OnUnparked(entity, asked.Outlet, entity._unfinished.TryUnpark(asked.Outlet, asked.Seen)), (Outlet: outlet, Seen: seen)));

    /// <summary>
    /// Asks the entity to park its next events for a sink, because a dead letter is to be delivered again, and for its state after what it
    /// has sent there. Any thread.
    /// </summary>
    public void Join(Outlet outlet) => _context.Scheduler.QueueAction(() => Turn(
        static (entity, outlet) => entity._host!.OnJoined(entity, outlet, entity._unfinished.TryPark(outlet), entity.Newest()), outlet));

    // The state after the newest apply; null when it is not known.
    private KnownState? Newest() => _unfinished.Newest is { } newest ? new KnownState(newest.Outcome) { IsInProgress = true } : _isKnown ? new KnownState(_state) : null;

    // A fault outside an apply is a defect of ours. The partition must not wait for an answer that never comes: it restarts.
    private void Turn<T>(Action<EntityGrain, T> turn, T argument)
    {
        try
        {
            turn(this, argument);
        }
#pragma warning disable CA1031 // See above.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            _host!.OnFault(exception);
        }
    }

    private void Accept(EntityWork work)
    {
        if (_step == Step.Gone)
        {
            _host!.OnReturned(work);
            return;
        }

        _presence ??= work.Presence;
        _unfinished.Begin(work.ParkedAt);
        for (var i = 0; i < work.Changes.Count; i++)
            _waiting.Add(work.Changes[i]);
        Next();
    }

    // Begins the next apply, unless one is in progress. If the state is not known, it is read first, and then there is room for the apply.
    // If there is no room, the entity waits for it without its state: who waits holds no memory.
    private void Next()
    {
        if (_step != Step.Idle || _waiting.Count == 0 || _host!.IsEnded)
            return;
        var first = _waiting[0];
        if (!_isKnown)
        {
            if (_host.Buffer.Find(Key) is { } recent)
                Know(recent);
            else if (!_host.NeedsNoState(first.Change, first.Plan.Mode))
            {
                GiveRoom();
                _step = Step.ReadingState;
                _host.Source.States.Request(this, first.Change, first.Plan);
                return;
            }
        }

        if (!_hasRoom)
        {
            var room = EntityApply.RoomFor(_state, in first, _waiting.Count);
            if (room > MemoryBudget.Free)
            {
                if (!_host.Source.Memory.TryTake(this, room))
                {
                    ForgetIfRecorded();
                    _step = Step.WaitingForRoom;
                    return;
                }

                _room = room;
            }
        }

        Apply();
    }

    // Applies the waiting changes. A change that cannot be applied does not stop the changes before it; for those after it, see Failed.
    private void Apply()
    {
        var source = _host!.Source;
        var apply = new EntityApply(this, this, _presence!, source.Name, source.Database, _state, _room);
        _room = 0;
        _hasRoom = false;
        try
        {
            var samples = _host.Samples;
            while (apply.Count < _waiting.Count && !apply.IsFull)
            {
                var pending = _waiting[apply.Count];
                apply.Take(in pending);
                if (samples.Applied(pending.Place) is var at and not 0)
                    apply.AppliedAt = at;
            }
        }
#pragma warning disable CA1031 // An error in an apply must stop only this entity.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            if (apply.Count == 0 && !Failed(apply, exception))
                return;
        }

        _waiting.RemoveFirst(apply.Count);
        var isFirst = _unfinished.Count == 0;
        _unfinished.Add(apply);
        _step = Step.Delivering;
        if (apply.IsEmpty)
            Delivered(apply);
        else
            apply.Send(isFirst ? null : outlet => _unfinished.ShareBefore(outlet));

        // It changed nothing, so the next changes need not wait for its sink. Their events for this sink follow it.
        if (apply.IsReplayOnly)
            FirstDone(apply);
    }

    // After the first failure, the state is dropped, and the change is tried again after a pause with the state read again. After the second
    // failure, the change is given up on, and the partition puts the entity to sleep. A lack of memory is always retried: it is not the
    // fault of the change.
    private bool Failed(EntityApply apply, Exception exception)
    {
        LogFailed(_host!.Source.Logger, exception, _id.Source, _waiting[0].Change.Version);
        if (!Exhaustion.IsCauseOf(exception) && ++_failures > 1)
        {
            apply.GiveUp(_waiting[0], $"The change cannot be applied: {exception.GetType().Name}.");
            return true;
        }

        _host.Source.Memory.Give(apply.ReleaseRoom());
        ForgetIfRecorded();
        _step = Step.PausingAfterFailure;
        _pause = _host.Source.Time.CreateTimer(
            static entity => ((EntityGrain)entity!)._context.Scheduler.QueueAction(
                static e => ((EntityGrain)e).Turn(static (entity, step) => entity.Resume(step), Step.PausingAfterFailure), entity),
            this, RetryPause, Timeout.InfiniteTimeSpan);
        return false;
    }

    private void FirstDone(EntityApply apply)
    {
        apply.IsFirstDone = true;
        Continue();
    }

    // The states become durable in the order of the applies, each when no sink needs its events any more.
    private void Delivered(EntityApply apply)
    {
        apply.IsFinished = true;
        var newest = _unfinished.Newest;
        while (_unfinished.TakeFinished() is { } finished)
            Finish(finished);
        if (ReferenceEquals(apply, newest))
            Adopt(apply);
        Continue();
    }

    private void Finish(EntityApply apply)
    {
        if (apply.Fault is null)
            _failures = 0;
        apply.Bytes = Overhead + (2 * Key.Key.Length) + (apply.Outcome?.Size ?? 0);
        _reported++;
        _host!.OnFinished(apply);
    }

    // Continues with the waiting changes when a sink is done with the newest apply, unless too many applies are unfinished.
    private void Continue()
    {
        if (_step != Step.Delivering || _unfinished.Count >= MostUnfinished)
            return;
        if (_unfinished.Newest is { } newest)
        {
            if (newest is { IsFirstDone: false, IsFinished: false })
                return;
            Adopt(newest);
        }

        Resume(Step.Delivering);
    }

    // The outcome of the newest apply is the current state.
    private void Adopt(EntityApply newest)
    {
        if (newest.IsChanged)
            Know(newest.Outcome);
    }

    private void Loaded(EntityState? state, long room)
    {
        if (_step == Step.ReadingState)
            Know(state);
        Admitted(Step.ReadingState, room);
    }

    private void Entered(long room) => Admitted(Step.WaitingForRoom, room);

    private void Admitted(Step from, long room)
    {
        if (_step != from || _host!.IsEnded)
        {
            _host!.Source.Memory.Give(room);
            return;
        }

        _hasRoom = true;
        _room = room;
        Resume(from);
    }

    private void GiveRoom()
    {
        _host?.Source.Memory.Give(_room);
        _room = 0;
        _hasRoom = false;
    }

    private void Resume(Step from)
    {
        if (_step != from)
            return;
        _step = Step.Idle;
        Next();
    }

    private int Size => Overhead + (2 * Key.Key.Length) + (_state?.Size ?? 0);

    private void Know(EntityState? state)
    {
        _state = state;
        _isKnown = true;
    }

    // While an earlier apply is unfinished, or the partition has not recorded it, the state cannot be read again.
    private void ForgetIfRecorded()
    {
        if (_unfinished.Count > 0 || _reported != Volatile.Read(ref _recorded))
            return;
        _state = null;
        _isKnown = false;
    }

    private void Attach()
    {
        if (_host is not null || _hosts.Find(_id.Source, _partition) is not { } host)
            return;
        _host = host;
        host.OnWoken(this);
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "{Source}: an entity could not apply its change of version {Version}")]
    private static partial void LogFailed(ILogger logger, Exception exception, string source, ChangeVersion version);
}
