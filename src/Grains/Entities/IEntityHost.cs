using CdcOrleans.Grains.Checkpoints;
using CdcOrleans.Grains.Collections;
using CdcOrleans.Grains.Runtime;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Grains.Entities;

/// <summary>
/// What an entity needs from the partition that it belongs to. All members may be used from any thread; what an entity reports takes
/// effect in a later turn of the partition, in the order in which it was reported.
/// </summary>
internal interface IEntityHost : IApplyOwner
{
    /// <summary>What the partitions and entities of the source share on this silo.</summary>
    SourceRuntime Source { get; }

    /// <summary>Generation of the partition's activation.</summary>
    long Generation { get; }

    /// <summary>Whether the partition has ended: its entities hand nothing more to sinks.</summary>
    bool IsEnded { get; }

    /// <summary>States that are not durable yet, or were not long ago.</summary>
    CheckpointBuffer Buffer { get; }

    /// <summary>Whether a change may be applied without the entity's stored state.</summary>
    bool NeedsNoState(RowChange change, EntityMode mode);

    /// <summary>An activation of an entity is there.</summary>
    void OnWoken(EntityGrain entity);

    /// <summary>An activation is gone.</summary>
    /// <param name="entity">The activation.</param>
    /// <param name="remaining">Changes that it was given and has not begun to apply.</param>
    void OnGone(EntityGrain entity, FirstAndRest<PendingChange> remaining);

    /// <summary>Changes reached an activation that was gone.</summary>
    void OnReturned(EntityWork work);

    /// <summary>An activation holds so many bytes.</summary>
    void OnSized(EntityGrain entity, int bytes);

    /// <summary>An activation was called and knows nothing of its entity: it is not needed.</summary>
    void OnNeedless(EntityGrain entity);

    /// <summary>
    /// Whether the partition has what a reader gave it. When the answer is there, the entity has been given all changes of its own that
    /// are among it.
    /// </summary>
    /// <param name="epoch">Epoch of the reader.</param>
    /// <param name="taken">The last version that the reader gave to the partition.</param>
    /// <exception cref="Interfaces.Partitions.StaleReaderException">The partition follows a reader of a higher epoch.</exception>
    Task<bool> HasTaken(long epoch, ChangeVersion taken);
}

/// <summary>Who is told when every sink has answered for an apply. Any thread.</summary>
internal interface IApplyOwner
{
    /// <summary>Every sink has answered.</summary>
    void OnFinished(EntityApply apply);
}
