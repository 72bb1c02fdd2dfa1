using CdcOrleans.Grains.Checkpoints;
using CdcOrleans.Grains.Collections;
using CdcOrleans.Grains.Runtime;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;

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

    /// <summary>Whether the partition has ended. Its entities then pass nothing more to sinks.</summary>
    bool IsEnded { get; }

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

/// <summary>Runs an apply, and is notified when every sink has answered for it.</summary>
internal interface IApplyOwner
{
    /// <summary>Called when every sink has answered. Any thread.</summary>
    void OnFinished(EntityApply apply);
}
