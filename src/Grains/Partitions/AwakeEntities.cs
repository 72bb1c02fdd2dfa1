using CdcOrleans.Grains.Budgets;
using CdcOrleans.Grains.Entities;
using CdcOrleans.Grains.Figures;

namespace CdcOrleans.Grains.Partitions;

/// <summary>
/// The awake entities of one partition in the order of their last use, with their bytes in the silo's budget. The least recently used are
/// put to sleep first.
/// <para>
/// Entities that were used once since they woke have an order of their own, with a small share of the budget. So many entities that are
/// used only once, such as new rows, do not displace those that are used often, and they leave memory before the garbage collector has
/// moved them. An entity that comes back soon counts as used again. Not safe for concurrent use.
/// </para>
/// </summary>
internal sealed class AwakeEntities(EntityBudget budget, SourceFigures figures)
{
    /// <summary>A search for idle entities ends after it has found so many busy ones.</summary>
    private const int MostBusy = 16;

    private readonly UseOrder _once = new();
    private readonly UseOrder _again = new();

    /// <summary>Adds an entity that woke.</summary>
    /// <param name="presence">The entity.</param>
    /// <param name="bytes">Bytes that it uses in memory.</param>
    /// <param name="now">The time, as a timestamp of the clock.</param>
    /// <param name="isBack">Whether it was used recently, before it woke.</param>
    public void Add(EntityPresence presence, int bytes, long now, bool isBack)
    {
        presence.UsedAt = now;
        presence.Uses = isBack ? EntityPresence.UsedAgain : (byte)0;
        OrderOf(presence).Add(presence);
        Account(presence, bytes);
        figures.Woken();
    }

    /// <summary>Records that an entity has work. It becomes the most recently used one.</summary>
    public void Use(EntityPresence presence, long now)
    {
        presence.UsedAt = now;
        OrderOf(presence).Remove(presence);
        if (presence.Uses < EntityPresence.UsedAgain)
            presence.Uses++;
        OrderOf(presence).Add(presence);
    }

    /// <summary>Sets the bytes that an entity uses in memory.</summary>
    public void Account(EntityPresence presence, int bytes)
    {
        if (bytes == presence.Counted)
            return;
        budget.Add(bytes - presence.Counted);
        OrderOf(presence).Bytes += bytes - presence.Counted;
        presence.Counted = bytes;
    }

    /// <summary>Removes an entity that goes to sleep. Its bytes count until <see cref="Left"/>.</summary>
    public void Remove(EntityPresence presence)
    {
        OrderOf(presence).Remove(presence);
        budget.Leaving(presence.Counted);
        figures.Slept();
    }

    /// <summary>Records that the activation of a removed entity has ended.</summary>
    public void Left(EntityPresence presence)
    {
        budget.Leaving(-presence.Counted);
        budget.Add(-presence.Counted);
        presence.Counted = 0;
    }

    /// <summary>Puts entities to sleep while the budget, or the share of those that were used once, is exceeded.</summary>
    public void Trim(Action<EntityPresence, string> leave)
    {
        Trim(_once, budget.OnceShare, leave);
        Trim(_again, long.MaxValue, leave);
    }

    /// <summary>Puts entities to sleep that have not been used for the given time, then does as <see cref="Trim(Action{EntityPresence, string})"/>.</summary>
    public void Sweep(TimeSpan idle, TimeProvider time, Action<EntityPresence, string> leave)
    {
        Sweep(_once, idle, time, leave);
        Sweep(_again, idle, time, leave);
        Trim(leave);
    }

    private static void Sweep(UseOrder order, TimeSpan idle, TimeProvider time, Action<EntityPresence, string> leave)
    {
        for (var presence = order.Oldest; presence is not null && time.GetElapsedTime(presence.UsedAt) >= idle;)
        {
            var next = presence.Newer;
            if (presence.Phase == EntityPhase.Awake)
                leave(presence, "It had nothing to do for a while.");
            presence = next;
        }
    }

    private void Trim(UseOrder order, long share, Action<EntityPresence, string> leave)
    {
        var busy = 0;
        for (var presence = order.Oldest; presence is not null && busy < MostBusy && (order.Bytes > share || budget.IsExceeded);)
        {
            var next = presence.Newer;
            if (presence.Phase == EntityPhase.Awake)
            {
                leave(presence, "Others need its memory.");
            }
            else
            {
                // It is in use. It becomes the most recently used one, so that the next search does not find it first.
                order.Remove(presence);
                order.Add(presence);
                busy++;
            }

            presence = next;
        }
    }

    private UseOrder OrderOf(EntityPresence presence) => presence.Uses < EntityPresence.UsedAgain ? _once : _again;

    /// <summary>Entities in the order of their last use, as a linked list.</summary>
    private sealed class UseOrder
    {
        private EntityPresence? _newest;

        public EntityPresence? Oldest { get; private set; }

        public long Bytes { get; set; }

        public void Add(EntityPresence presence)
        {
            Bytes += presence.Counted;
            presence.Older = _newest;
            presence.Newer = null;
            if (_newest is not null)
                _newest.Newer = presence;
            _newest = presence;
            Oldest ??= presence;
        }

        public void Remove(EntityPresence presence)
        {
            Bytes -= presence.Counted;
            if (presence.Newer is not null)
                presence.Newer.Older = presence.Older;
            else
                _newest = presence.Older;
            if (presence.Older is not null)
                presence.Older.Newer = presence.Newer;
            else
                Oldest = presence.Newer;
            presence.Newer = presence.Older = null;
        }
    }
}
