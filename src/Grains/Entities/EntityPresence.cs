using CdcOrleans.Grains.Collections;
using CdcOrleans.Model.Entities;

namespace CdcOrleans.Grains.Entities;

/// <summary>
/// What a partition knows of an entity that is not only asleep: its phase, its activation, and the changes that wait to be given to it. It
/// has neither row nor version; the activation has them. Used on the partition's scheduler only.
/// </summary>
internal sealed class EntityPresence(EntityKey key)
{
    /// <summary>Value of <see cref="Uses"/> from which on an entity counts as used again.</summary>
    public const byte UsedAgain = 2;

    /// <summary>The phase. A field, because the transitions change it in place.</summary>
    public EntityLifecycle Lifecycle;

    /// <summary>Changes that were not given to the activation yet, in order.</summary>
    public FirstAndRest<PendingChange> Waiting;

    /// <summary>The entity.</summary>
    public EntityKey Key { get; } = key;

    /// <inheritdoc cref="EntityLifecycle.Phase" />
    public EntityPhase Phase => Lifecycle.Phase;

    /// <summary>Number of its table in the store; 0 while no change of it has come.</summary>
    public int TableId { get; set; }

    /// <summary>The activation; null while there is none.</summary>
    public EntityGrain? Activation { get; set; }

    /// <summary>
    /// A new activation that waits until the current one has ended, or until a change is applied in passing; null when there is none.
    /// </summary>
    public EntityGrain? Next { get; set; }

    /// <summary>Number of changes that the activation was given and has not finished.</summary>
    public int Given { get; set; }

    /// <summary>Whether the activation has reported that it ended.</summary>
    public bool IsGone { get; set; }

    /// <summary>Whether the end of the partition's turn must look at the entity.</summary>
    public bool IsListed { get; set; }

    /// <summary>Whether it waits until it may wake.</summary>
    public bool IsQueuedToWake { get; set; }

    /// <summary>When it last had work, as a timestamp of the clock.</summary>
    public long UsedAt { get; set; }

    /// <summary>How often it had work since it woke, up to <see cref="UsedAgain"/>.</summary>
    public byte Uses { get; set; }

    /// <summary>Bytes that the budget counts for it.</summary>
    public int Counted { get; set; }

    /// <summary>The entity that was used next after this one; null for the last one.</summary>
    public EntityPresence? Newer { get; set; }

    /// <summary>The entity that was used just before this one; null for the first one.</summary>
    public EntityPresence? Older { get; set; }

    /// <summary>Puts returned changes back among the waiting ones, in the order of their places.</summary>
    public void PutBack(FirstAndRest<PendingChange> changes)
    {
        if (changes.Count == 0)
            return;
        var all = new List<PendingChange>();
        for (var i = 0; i < changes.Count; i++)
            all.Add(changes[i]);
        for (var i = 0; i < Waiting.Count; i++)
            all.Add(Waiting[i]);
        Waiting = default;
        foreach (var pending in all.OrderBy(p => p.Place))
            Waiting.Add(pending);
    }
}
