using System.Diagnostics.CodeAnalysis;
using CdcOrleans.Grains.Budgets;
using CdcOrleans.Grains.Entities;

namespace CdcOrleans.Grains.Partitions;

/// <summary>
/// Limits how many entities of one partition wake at a time. Those that may not wake yet wait in their order. Not safe for concurrent use.
/// </summary>
internal sealed class WakeQueue(EntityBudget budget)
{
    /// <summary>
    /// Most activations of one partition that are requested at a time. Without this limit, a batch of new entities would create all of
    /// them before the first could apply its change, and the garbage collector would move them all.
    /// </summary>
    private const int MostWaking = 32;

    private readonly Queue<EntityPresence> _waiting = new();
    private int _waking;

    private bool HasRoom => _waking < MostWaking && !budget.IsFull;

    /// <summary>Counts an entity as waking. If too many are, or the silo's memory is full, it must wait, and the answer is false.</summary>
    public bool TryBegin(EntityPresence presence)
    {
        if (HasRoom)
        {
            _waking++;
            return true;
        }

        presence.IsQueuedToWake = true;
        _waiting.Enqueue(presence);
        return false;
    }

    /// <summary>Records that an entity has woken, or could not be woken.</summary>
    public void End() => _waking--;

    /// <summary>Returns the next entity that waits, if it may wake now. It may have woken meanwhile, by a call to it.</summary>
    public bool TryNext([NotNullWhen(true)] out EntityPresence? presence)
    {
        presence = null;
        return HasRoom && _waiting.TryDequeue(out presence);
    }
}
