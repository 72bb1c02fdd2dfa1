using CdcOrleans.Grains.Collections;
using CdcOrleans.Model.Entities;

namespace CdcOrleans.Grains.Entities;

/// <summary>
/// What a partition knows of an entity that does not just sleep: its phase, its activation, and the changes that wait to be given to
/// it. It knows neither row nor version: those are the activation's own. Used on the partition's scheduler only.
/// </summary>
internal sealed class EntityPresence(EntityKey key)
{
    /// <summary>The phase. A field, because the transitions change it in place.</summary>
    public EntityLifecycle Lifecycle;

    /// <summary>Changes that are not given to the activation yet, in order.</summary>
    public FirstAndRest<PendingChange> Waiting;

    /// <summary>The entity.</summary>
    public EntityKey Key { get; } = key;

    /// <inheritdoc cref="EntityLifecycle.Phase" />
    public EntityPhase Phase => Lifecycle.Phase;

    /// <summary>Number of its table in the store; 0 while no change of it has come.</summary>
    public int TableId { get; set; }

    /// <summary>The activation; null while there is none.</summary>
    public EntityGrain? Activation { get; set; }

    /// <summary>An activation that came while another one had not gone, or a lone change was under way: it is next.</summary>
    public EntityGrain? Next { get; set; }

    /// <summary>How many changes the activation was given and has not answered for.</summary>
    public int Given { get; set; }

    /// <summary>Whether the activation has said that it is gone.</summary>
    public bool IsGone { get; set; }

    /// <summary>Whether it is listed for the end of the partition's turn.</summary>
    public bool IsListed { get; set; }

    /// <summary>When it had work last, as a timestamp of the clock.</summary>
    public long UsedAt { get; set; }

    /// <summary>Bytes that it is counted with in the budget.</summary>
    public int Counted { get; set; }

    /// <summary>Neighbours in the partition's order of last use.</summary>
    public EntityPresence? Newer { get; set; }

    /// <inheritdoc cref="Newer" />
    public EntityPresence? Older { get; set; }
}
