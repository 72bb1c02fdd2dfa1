using CdcOrleans.Grains.Budgets;
using CdcOrleans.Grains.Entities;
using CdcOrleans.Grains.Figures;

namespace CdcOrleans.Grains.Partitions;

/// <summary>
/// The awake entities of one partition in the order of their last use, with their bytes in the silo's budget. The least recently used are
/// put to sleep first. Not safe for concurrent use.
/// </summary>
internal sealed class AwakeEntities(EntityBudget budget, SourceFigures figures)
{
    /// <summary>A search for idle entities ends after it has found so many busy ones.</summary>
    private const int MostBusy = 16;

    private EntityPresence? _newest;
    private EntityPresence? _oldest;

    /// <summary>Adds an entity that woke.</summary>
    public void Add(EntityPresence presence, int bytes, long now)
    {
        presence.UsedAt = now;
        Link(presence);
        Account(presence, bytes);
        figures.Woken();
    }

    /// <summary>Records that an entity has work. It becomes the most recently used one.</summary>
    public void Use(EntityPresence presence, long now)
    {
        presence.UsedAt = now;
        if (ReferenceEquals(presence, _newest))
            return;
        Unlink(presence);
        Link(presence);
    }

    /// <summary>Sets the bytes that an entity uses in memory.</summary>
    public void Account(EntityPresence presence, int bytes)
    {
        if (bytes == presence.Counted)
            return;
        budget.Add(bytes - presence.Counted);
        presence.Counted = bytes;
    }

    /// <summary>Removes an entity that goes to sleep. Its bytes count until <see cref="Left"/>.</summary>
    public void Remove(EntityPresence presence)
    {
        Unlink(presence);
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

    /// <summary>Puts entities to sleep while the budget is exceeded.</summary>
    public void Trim(Action<EntityPresence, string> leave)
    {
        var busy = 0;
        for (var presence = _oldest; presence is not null && busy < MostBusy && budget.IsExceeded;)
        {
            var next = presence.Newer;
            if (presence.Phase == EntityPhase.Awake)
                leave(presence, "Others need its memory.");
            else
                busy++;
            presence = next;
        }
    }

    /// <summary>Puts entities to sleep that have not been used for the given time, then does as <see cref="Trim"/>.</summary>
    public void Sweep(TimeSpan idle, TimeProvider time, Action<EntityPresence, string> leave)
    {
        for (var presence = _oldest; presence is not null && time.GetElapsedTime(presence.UsedAt) >= idle;)
        {
            var next = presence.Newer;
            if (presence.Phase == EntityPhase.Awake)
                leave(presence, "It had nothing to do for a while.");
            presence = next;
        }

        Trim(leave);
    }

    private void Link(EntityPresence presence)
    {
        presence.Older = _newest;
        presence.Newer = null;
        if (_newest is not null)
            _newest.Newer = presence;
        _newest = presence;
        _oldest ??= presence;
    }

    private void Unlink(EntityPresence presence)
    {
        if (presence.Newer is not null)
            presence.Newer.Older = presence.Older;
        else
            _newest = presence.Older;
        if (presence.Older is not null)
            presence.Older.Newer = presence.Newer;
        else
            _oldest = presence.Newer;
        presence.Newer = presence.Older = null;
    }
}
