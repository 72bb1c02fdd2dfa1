using CdcOrleans.Grains.Budgets;
using CdcOrleans.Grains.Checkpoints;
using CdcOrleans.Grains.Collections;
using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Grains.Placement;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;
using Orleans.Concurrency;
using Orleans.GrainDirectory;

namespace CdcOrleans.Grains.Entities;

/// <summary>
/// One entity: a row of a captured table, as an actor. It holds the last applied version and the row, and takes the row's changes one
/// apply at a time. Everything here runs on the activation's own scheduler, one turn after the other; so order and idempotency of an
/// entity need no lock.
/// <para>
/// The way of a change: the partition queues <see cref="Take"/> with the changes of one of its turns; <see cref="Next"/> begins an
/// apply unless one is under way; <see cref="Apply"/> skips what is not newer than the state, makes the events and hands them to the
/// sinks; when every sink has answered, <see cref="Delivered"/> makes the outcome the new state, hands it to the checkpoint buffer,
/// tells the partition, and goes on with what waits.
/// </para>
/// <para>
/// It is registered nowhere: its silo is computed from its partition (<see cref="EntityDirectory"/>). It ends when its partition asks
/// it to, or when Orleans ends it; what it has not applied then goes back to the partition.
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

    /// <summary>How long an entity rests between an apply that failed and the second try.</summary>
    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(100);

    private readonly EntityId _id;
    private readonly int _partition;
    private readonly EntityHosts _hosts;
    private readonly IGrainFactory _grains;
    private readonly IGrainContext _context;
    private IEntityHost? _host;
    private EntityPresence? _presence;
    private FirstAndRest<PendingChange> _waiting;
    private EntityApply? _underWay;
    private EntityState? _state;
    private bool _isKnown;
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
        // A delivery that is under way ends later, by Delivered; until then the partition gives its entity to nobody else.
        _step = Step.Gone;
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
        var state = await Current(host);
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
            Row = state.Row.IsPresent ? host.Source.Rows.ToJson(state.Table, state.Row, plan.Values) : null,
            Waiting = _waiting.Count + (_underWay?.Count ?? 0),
            Awake = wasAwake,
        };
    }

    /// <inheritdoc />
    public async ValueTask<StoredRow> ReadRow(long epoch, ChangeVersion taken)
    {
        Attach();
        if (_host is not { IsEnded: false } host || !await host.HasTaken(epoch, taken))
            return new StoredRow(false, IsBehind: true);

        // Before changes come to this activation, one may be under way that passes it by.
        if (_presence is null || _waiting.Count > 0 || _step != Step.Idle)
            return new StoredRow(false);
        var state = await Current(host);
        return state is { Deleted: false, Row.IsPresent: true } && host.Source.Routes.Plan(state.Table).Mode == EntityMode.Row
            ? new StoredRow(true, state.Version, state.Table, state.Row)
            : new StoredRow(true);
    }

    /// <summary>The partition gives changes. From the first time on, all changes of the entity come to this activation.</summary>
    public void Take(EntityWork work)
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

    /// <summary>A state that was asked for was read. Any thread.</summary>
    public void OnLoaded(EntityState? state) => _context.Scheduler.QueueAction(() => Loaded(state));

    /// <summary>There is room for the apply. Any thread.</summary>
    public bool OnRoom(long bytes)
    {
        if (_host!.IsEnded)
            return false;
        _context.Scheduler.QueueAction(() => Entered(bytes));
        return true;
    }

    /// <summary>Every sink has answered for the apply. Any thread.</summary>
    public void OnFinished(EntityApply apply) => _context.Scheduler.QueueAction(static a => ((EntityGrain)((EntityApply)a).Owner).Delivered((EntityApply)a), apply);

    // Begins the next apply: not while one is under way, and not before the state is known that it builds on.
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
                _step = Step.ReadingState;
                _host.Source.States.Request(this, new StateKey(first.Change.Table.TableId, Key.Key));
                return;
            }
        }

        var growth = EntityApply.GrowthOf(_state, _waiting.Count);
        if (growth > GrowthBudget.Free && _room == 0)
        {
            if (!_host.Source.Growth.TryTake(this, growth))
            {
                _step = Step.WaitingForRoom;
                return;
            }

            _room = growth;
        }

        Apply();
    }

    // Takes what waits. A change that cannot be applied stops neither those before it nor those after it: see Failed.
    private void Apply()
    {
        var source = _host!.Source;
        var apply = new EntityApply(this, _presence!, source.Name, source.Database, _state) { Growth = _room };
        _room = 0;
        try
        {
            while (apply.Count < _waiting.Count && !apply.IsFull)
                apply.Take(_waiting[apply.Count]);
        }
#pragma warning disable CA1031 // Whatever an apply trips over stops this entity alone.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            if (apply.Count == 0 && !Failed(apply, exception))
                return;
        }

        _waiting.RemoveFirst(apply.Count);
        _underWay = apply;
        _step = Step.Delivering;
        if (apply.IsEmpty)
            Delivered(apply);
        else
            apply.Send();
    }

    // The first time: the state is read again, and the change is tried again after a pause. The second time the change is given up on,
    // and the entity goes to sleep with what is left. Short memory is nobody's fault and passes.
    private bool Failed(EntityApply apply, Exception exception)
    {
        LogFailed(_host!.Source.Logger, exception, _id.Source, _waiting[0].Change.Version);
        if (exception is not OutOfMemoryException && ++_failures > 1)
        {
            apply.GiveUp(_waiting[0], $"The change cannot be applied: {exception.GetType().Name}.");
            return true;
        }

        if (apply.Growth > 0)
            _host.Source.Growth.Give(apply.Growth);
        Forget();
        _step = Step.PausingAfterFailure;
        _pause = _host.Source.Time.CreateTimer(
            static entity => ((EntityGrain)entity!)._context.Scheduler.QueueAction(static e => ((EntityGrain)e).Resume(Step.PausingAfterFailure), entity),
            this, RetryPause, Timeout.InfiniteTimeSpan);
        return false;
    }

    // The outcome of an apply is the state from now on.
    private void Delivered(EntityApply apply)
    {
        _underWay = null;
        if (apply.Growth > 0)
            _host!.Source.Growth.Give(apply.Growth);
        if (apply.IsChanged)
        {
            Know(apply.Outcome);
            _host!.Buffer.Add(Key, apply.Outcome!, Retention.None);
        }

        if (apply.Fault is null)
            _failures = 0;
        apply.Bytes = Size;
        _host!.OnFinished(apply);
        Resume(Step.Delivering);
    }

    private void Loaded(EntityState? state)
    {
        if (_step != Step.ReadingState)
            return;
        Know(state);
        Resume(Step.ReadingState);
    }

    private void Entered(long room)
    {
        if (_step != Step.WaitingForRoom)
        {
            _host!.Source.Growth.Give(room);
            return;
        }

        _room = room;
        Resume(Step.WaitingForRoom);
    }

    private void Resume(Step from)
    {
        if (_step != from)
            return;
        _step = Step.Idle;
        Next();
    }

    // The state as last applied. It is kept only once all changes come here: before that, a change may pass by this activation.
    private async ValueTask<EntityState?> Current(IEntityHost host)
    {
        if (_isKnown)
            return _state;
        var state = host.Buffer.Find(Key);
        if (state is null && await host.Source.Schemas.FindTable(_id.Source, Key.Table, CancellationToken.None) is { } table)
            state = (await host.Source.Store.ReadStates([new StateKey(table, Key.Key)], CancellationToken.None))[0];
        if (_isKnown)
            return _state;
        if (_presence is not null && _step == Step.Idle && state is not null)
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
