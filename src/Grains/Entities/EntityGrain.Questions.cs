using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Grains.Placement;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Entities;

/// <content>The questions to an entity: calls from other grains and from the API.</content>
internal sealed partial class EntityGrain
{
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
            RowAbsence = state.IsDoubtful ? RowAbsence.Doubtful : state.Absence,
            Row = state is { IsDoubtful: false, Row.IsPresent: true } ? host.Source.Rows.ToJson(state.Table, state.Row, plan.Values) : null,
            Waiting = _waiting.Count + _unfinished.Changes,
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
        return state is { Deleted: false, IsDoubtful: false, Row.IsPresent: true } && host.Source.Routes.Plan(state.Table).Mode == EntityMode.Row
            ? new StoredRow(true, state.Version, state.Table, state.Row) { Chunk = state.Chunk }
            : new StoredRow(true);
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
}
