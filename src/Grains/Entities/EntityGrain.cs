using CdcOrleans.Grains.Budgets;
using CdcOrleans.Grains.Checkpoints;
using CdcOrleans.Grains.Collections;
using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Grains.Placement;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
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
/// unless one is in progress. <see cref="Apply"/> skips changes that are not newer than the state, makes the events and passes them to the
/// sinks. When every sink has answered, <see cref="Delivered"/> sets the new state, adds it to the checkpoint buffer, notifies the
/// partition, and continues with the waiting changes.
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
internal sealed partial class EntityGrain : IGrainBase, IEntityGrain, IApplyOwner, IStateWaiter, IRoomWaiter
{
    /// <summary>
    /// Bytes that an activation is counted with besides its key and its state. Measured: 2,300 live bytes; the rest is what the garbage
    /// collector keeps around so many small objects.
    /// </summary>
    public const int Overhead = 2900;

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
    private EntityApply? _inProgress;
    private EntityState? _state;
    private bool _isKnown;

    // Whether the next apply was admitted, and the bytes reserved for it in the memory budget.
    private bool _hasRoom;
    private long _room;
    private int _failures;
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

    /// <inheritdoc />
    public ValueTask<bool> Wake(long generation)
    {
        Attach();
        if (_host is { IsEnded: false } host && host.Generation == generation)
            return ValueTask.FromResult(true);
        _context.Deactivate(new DeactivationReason(DeactivationReasonCode.ApplicationRequested, "Its partition has ended or is on another silo."));
        return ValueTask.FromResult(false);
    }

    /// <inheritdoc />
    public async ValueTask<EntityView?> GetState()
    {
        var wasAwake = _presence is not null;
        if (_host is null)
            await _grains.GetGrain<IPartitionGrain>(PartitionKey.For(_id.Source, _partition)).Start();
        Attach();
        var host = _host ?? throw new InvalidOperationException($"{_id.Source}: partition {_partition} is moving to another silo. Ask again.");
        EntityState? state;
        try
        {
            state = await Current(host, host.Source.QueryState);
        }
        catch (StateUnavailableException unavailable)
        {
            host.OnNeedless(this);
            throw new EntityUnavailableException(unavailable.Message);
        }

        if (state is null)
        {
            host.OnNeedless(this);
            return null;
        }

        var plan = host.Source.Routes.Plan(state.Table);
        return new EntityView
        {
            Id = _id,
            Version = state.Version,
            Deleted = state.Deleted,
            SchemaVersion = state.Table.Version,
            RowAbsence = state.Absence,
            Row = state.Row.IsPresent ? host.Source.Rows.ToJson(state.Table, state.Row, plan.Values) : null,
            Waiting = _waiting.Count + (_inProgress?.Count ?? 0),
            Awake = wasAwake,
        };
    }

    /// <inheritdoc />
    public async ValueTask<StoredRow> ReadRow(long epoch, ChangeVersion lastSent)
    {
        Attach();
        if (_host is not { IsEnded: false } host || !await host.HasTaken(epoch, lastSent))
            return new StoredRow(false, MustReopen: true);

        // If the partition has not given changes to this activation yet, it may be applying one in passing.
        if (_presence is null || _waiting.Count > 0 || _step != Step.Idle)
            return new StoredRow(false);
        var state = await Current(host, host.Source.ReadState);
        return state is { Deleted: false, Row.IsPresent: true } && host.Source.Routes.Plan(state.Table).Mode == EntityMode.Row
            ? new StoredRow(true, state.Version, state.Table, state.Row)
            : new StoredRow(true);
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

    /// <summary>Called when every sink has answered for the apply. Any thread.</summary>
    public void OnFinished(EntityApply apply) => _context.Scheduler.QueueAction(
        static a => ((EntityGrain)((EntityApply)a).Owner).Turn(static (entity, apply) => entity.Delivered(apply), (EntityApply)a), apply);

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
                    Forget();
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
        var apply = new EntityApply(this, _presence!, source.Name, source.Database, _state, _room);
        _room = 0;
        _hasRoom = false;
        try
        {
            while (apply.Count < _waiting.Count && !apply.IsFull)
                apply.Take(_waiting[apply.Count]);
        }
#pragma warning disable CA1031 // An error in an apply must stop only this entity.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            if (apply.Count == 0 && !Failed(apply, exception))
                return;
        }

        _waiting.RemoveFirst(apply.Count);
        _inProgress = apply;
        _step = Step.Delivering;
        if (apply.IsEmpty)
            Delivered(apply);
        else
            apply.Send();
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
        Forget();
        _step = Step.PausingAfterFailure;
        _pause = _host.Source.Time.CreateTimer(
            static entity => ((EntityGrain)entity!)._context.Scheduler.QueueAction(
                static e => ((EntityGrain)e).Turn(static (entity, step) => entity.Resume(step), Step.PausingAfterFailure), entity),
            this, RetryPause, Timeout.InfiniteTimeSpan);
        return false;
    }

    // The outcome of the apply becomes the current state.
    private void Delivered(EntityApply apply)
    {
        _inProgress = null;
        try
        {
            if (apply.IsChanged)
            {
                Know(apply.Outcome);
                _host!.Buffer.Add(Key, apply.Outcome!, apply.IsLoneCreate ? Retention.Created : Retention.Used, apply.Refused);
            }
        }
        finally
        {
            _host!.Source.Memory.Give(apply.ReleaseRoom());
        }

        if (apply.Fault is null)
            _failures = 0;
        apply.Bytes = Size;
        _host!.OnFinished(apply);
        Resume(Step.Delivering);
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

    // Returns the last applied state. It is kept in memory only if all changes came to this activation before it was read. Otherwise a
    // change may be applied in passing meanwhile, and the kept state would be out of date.
    private async ValueTask<EntityState?> Current(IEntityHost host, Func<EntityKey, Task<EntityState?>> read)
    {
        if (_isKnown)
            return _state;
        var mayBeKept = _presence is not null;
        var state = host.Buffer.Find(Key) ?? await read(Key);
        if (_isKnown)
            return _state;
        if (mayBeKept && _step == Step.Idle && state is not null)
        {
            Know(state);
            host.OnSized(this, Size);
        }

        return state;
    }

    private int Size => Overhead + (2 * Key.Key.Length) + (_state?.Size ?? 0);

    private void Know(EntityState? state)
    {
        _state = state;
        _isKnown = true;
    }

    private void Forget()
    {
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
