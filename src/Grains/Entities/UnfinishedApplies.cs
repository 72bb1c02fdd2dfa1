using CdcOrleans.Grains.Collections;
using CdcOrleans.Grains.Deliveries;

namespace CdcOrleans.Grains.Entities;

/// <summary>
/// The applies of one activation that some sink has not finished, in order, and at which sinks later events must be parked. Not safe for
/// concurrent use.
/// </summary>
internal struct UnfinishedApplies
{
    private FirstAndRest<EntityApply> _applies;

    // The sinks at which the entity is parked, each with the number of its applies that were parked there.
    private Dictionary<Outlet, int>? _parked;

    /// <summary>Number of the applies.</summary>
    public readonly int Count => _applies.Count;

    /// <summary>The newest apply; null when there is none.</summary>
    public readonly EntityApply? Newest => _applies.Count > 0 ? _applies[_applies.Count - 1] : null;

    /// <summary>Number of the changes in the applies.</summary>
    public readonly int Changes
    {
        get
        {
            var changes = 0;
            for (var i = 0; i < _applies.Count; i++)
                changes += _applies[i].Count;
            return changes;
        }
    }

    /// <summary>Adds an apply that is about to be sent.</summary>
    public void Add(EntityApply apply) => _applies.Add(apply);

    /// <summary>Takes the oldest apply if it is finished; null when it is not.</summary>
    public EntityApply? TakeFinished()
    {
        if (_applies.Count == 0 || !_applies[0].IsFinished)
            return null;
        var oldest = _applies[0];
        _applies.RemoveFirst(1);
        CountParked(oldest);
        return oldest;
    }

    /// <summary>Returns the share for a sink that must be done before that of the newest apply; null when there is none.</summary>
    public readonly SinkShare? ShareBefore(Outlet outlet)
    {
        for (var i = _applies.Count - 2; i >= 0; i--)
        {
            if (ShareOf(_applies[i], outlet) is { } share)
                return share;
        }

        return null;
    }

    /// <summary>Whether later events for a sink must be parked.</summary>
    public readonly bool IsParked(Outlet outlet) => _parked is not null && _parked.ContainsKey(outlet);

    /// <summary>Begins with the sinks at which the entity was parked before the activation.</summary>
    public void Begin(IReadOnlyList<Outlet>? parkedAt)
    {
        foreach (var outlet in parkedAt ?? [])
            (_parked ??= []).TryAdd(outlet, 0);
    }

    /// <summary>
    /// From now on, events for a sink are parked. Returns whether nothing sent before is on its way to the sink any more; if not, it is asked
    /// again.
    /// </summary>
    public bool TryPark(Outlet outlet)
    {
        (_parked ??= []).TryAdd(outlet, 0);
        for (var i = 0; i < _applies.Count; i++)
        {
            if (ShareOf(_applies[i], outlet) is { IsDone: false })
                return false;
        }

        return true;
    }

    /// <summary>
    /// Lets later events go to a sink again, because the partition has delivered all parked ones. Returns false when more is parked than the
    /// partition has seen, or may still be.
    /// </summary>
    /// <param name="outlet">The way to the sink.</param>
    /// <param name="seen">How many applies with events parked there the partition has seen of this activation.</param>
    public readonly bool TryUnpark(Outlet outlet, int seen)
    {
        if (_parked is null || !_parked.TryGetValue(outlet, out var parked))
            return true;
        for (var i = 0; i < _applies.Count; i++)
        {
            if (ShareOf(_applies[i], outlet) is not null)
                return false;
        }

        return parked == seen && _parked.Remove(outlet);
    }

    private void CountParked(EntityApply finished)
    {
        if (!finished.Parks)
            return;
        foreach (var share in finished.Shares)
        {
            if (!share.Parks)
                continue;
            _parked ??= [];
            _parked[share.Target.Outlet] = _parked.GetValueOrDefault(share.Target.Outlet) + 1;
        }
    }

    private static SinkShare? ShareOf(EntityApply apply, Outlet outlet)
    {
        foreach (var share in apply.Shares)
        {
            if (ReferenceEquals(share.Target.Outlet, outlet))
                return share;
        }

        return null;
    }
}
