using CdcOrleans.Grains.Checkpoints;
using CdcOrleans.Grains.Collections;
using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Figures;
using CdcOrleans.Grains.Runtime;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Entities;

/// <summary>
/// What an entity needs from its partition. All members may be used from any thread. What an entity reports takes effect in a later turn
/// of the partition, in the order of the reports.
/// </summary>
internal interface IEntityHost : IApplyOwner
{
    /// <summary>What the partitions and entities of the source share on this silo.</summary>
    SourceRuntime Source { get; }

    /// <summary>Generation of the partition's activation.</summary>
    long Generation { get; }

    /// <summary>Measures when changes are applied.</summary>
    ApplySamples Samples { get; }

    /// <summary>States that are not durable yet, and states that became durable recently.</summary>
    CheckpointBuffer Buffer { get; }

    /// <summary>Whether a change may be applied without the entity's stored state.</summary>
    bool NeedsNoState(RowChange change, EntityMode mode);

    /// <summary>Reports that an entity has a new activation.</summary>
    void OnWoken(EntityGrain entity);

    /// <summary>Reports that an activation has ended.</summary>
    /// <param name="entity">The activation.</param>
    /// <param name="remaining">Changes that it was given and has not begun to apply.</param>
    void OnGone(EntityGrain entity, FirstAndRest<PendingChange> remaining);

    /// <summary>Returns changes that reached an activation after its end.</summary>
    void OnReturned(EntityWork work);

    /// <summary>Answers <see cref="EntityGrain.Unpark"/>: whether the entity sends its next events to the sink again.</summary>
    void OnUnparked(EntityGrain entity, Outlet outlet, bool isUnparked);

    /// <summary>Answers <see cref="EntityGrain.Join"/>.</summary>
    /// <param name="entity">The activation.</param>
    /// <param name="outlet">The way to the sink.</param>
    /// <param name="isJoined">Whether nothing of the entity is on its way to the sink.</param>
    /// <param name="state">Its state; null when it is not known.</param>
    void OnJoined(EntityGrain entity, Outlet outlet, bool isJoined, KnownState? state);

    /// <summary>Reports how many bytes an activation uses in memory.</summary>
    void OnSized(EntityGrain entity, int bytes);

    /// <summary>Reports that an activation was called, but nothing is known of its entity. So it is not needed.</summary>
    void OnNeedless(EntityGrain entity);

    /// <summary>
    /// Returns whether the partition has accepted everything that a reader sent to it. When it answers true, the partition has already given
    /// the entity all changes of it that were sent.
    /// </summary>
    /// <param name="epoch">Epoch of the reader.</param>
    /// <param name="lastSent">The last version that the reader sent to the partition, or that is durable there.</param>
    /// <exception cref="Interfaces.Partitions.StaleReaderException">The partition follows a reader of a higher epoch.</exception>
    Task<bool> HasTaken(long epoch, ChangeVersion lastSent);

    /// <summary>An activation failed outside an apply: the partition restarts, and what is not durable is streamed again.</summary>
    void OnFault(Exception exception);
}

/// <summary>A state that is known.</summary>
/// <param name="State">The state; null when nothing is stored of the entity.</param>
internal sealed record KnownState(EntityState? State)
{
    /// <summary>Whether the change that led to it is still on its way to a sink.</summary>
    public bool IsInProgress { get; init; }
}

/// <summary>Runs an apply, and is notified when every sink has answered for it.</summary>
internal interface IApplyOwner
{
    /// <summary>Whether the partition has ended. Nothing more is then passed to sinks. Any thread.</summary>
    bool IsEnded { get; }

    /// <summary>Called when every event has an outcome at every sink. Any thread.</summary>
    void OnFinished(EntityApply apply);

    /// <summary>
    /// Called when the first of several sinks is done with it. It may come at the same time as <see cref="OnFinished"/>. Any thread.
    /// </summary>
    void OnFirstDone(EntityApply apply);

    /// <summary>Called when a share is done of which events were parked or refused for good. Any thread.</summary>
    void OnSettled(SinkShare share);

    /// <summary>Called with the dead letters of changes that could not be formatted, before the other events of the apply are sent.</summary>
    void OnUnformatted(IReadOnlyList<DeadLetter> letters);

    /// <summary>Called when a sink answered after the events of a share were parked. Any thread.</summary>
    void OnAnsweredLate(SinkShare share);
}

/// <summary>Knows which entities have parked events at which sinks. Later events of such an entity are parked behind them.</summary>
internal interface IParkedEntities
{
    /// <summary>Whether an entity has parked events at a sink.</summary>
    bool IsParked(EntityKey entity, Outlet outlet);
}
