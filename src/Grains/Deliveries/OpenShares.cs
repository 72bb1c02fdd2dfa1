namespace CdcOrleans.Grains.Deliveries;

/// <summary>
/// The shares that a sink has and has not answered, oldest first. It is divided into stripes, because every delivery is added and removed.
/// Safe for concurrent use.
/// </summary>
internal sealed class OpenShares
{
    private const int Stripes = 16;

    private readonly Stripe[] _stripes = [.. Enumerable.Range(0, Stripes).Select(_ => new Stripe())];
    private int _next;

    /// <summary>Adds a share as the newest one.</summary>
    public void Add(SinkShare share)
    {
        if (share.Stripe < 0)
            share.Stripe = (int)((uint)Interlocked.Increment(ref _next) % Stripes);
        var stripe = _stripes[share.Stripe];
        lock (stripe.Gate)
        {
            stripe.Passed += share.Events.Count;
            share.Older = stripe.Newest;
            share.Newer = null;
            if (stripe.Newest is { } newest)
                newest.Newer = share;
            else
                stripe.Oldest = share;
            stripe.Newest = share;
        }
    }

    /// <summary>Number of events that were added, of all shares.</summary>
    public long Passed
    {
        get
        {
            var passed = 0L;
            foreach (var stripe in _stripes)
            {
                lock (stripe.Gate)
                    passed += stripe.Passed;
            }

            return passed;
        }
    }

    /// <summary>Removes a share.</summary>
    public void Remove(SinkShare share)
    {
        var stripe = _stripes[share.Stripe];
        lock (stripe.Gate)
        {
            if (share.Older is { } older)
                older.Newer = share.Newer;
            else
                stripe.Oldest = share.Newer;
            if (share.Newer is { } newer)
                newer.Older = share.Older;
            else
                stripe.Newest = share.Older;
            share.Older = share.Newer = null;
        }
    }

    /// <summary>Returns the time at which the oldest share was passed to the sink; null when there is none.</summary>
    public long? Oldest()
    {
        long? oldest = null;
        foreach (var stripe in _stripes)
        {
            lock (stripe.Gate)
            {
                if (stripe.Oldest is { } share && (oldest is null || share.PassedAt < oldest))
                    oldest = share.PassedAt;
            }
        }

        return oldest;
    }

    /// <summary>Returns the shares that were passed to the sink before a time.</summary>
    public List<SinkShare> Before(long timestamp)
    {
        var found = new List<SinkShare>();
        foreach (var stripe in _stripes)
        {
            lock (stripe.Gate)
            {
                for (var share = stripe.Oldest; share is not null && share.PassedAt < timestamp; share = share.Newer)
                    found.Add(share);
            }
        }

        return found;
    }

    private sealed class Stripe
    {
        public Lock Gate { get; } = new();

        public long Passed { get; set; }

        public SinkShare? Oldest { get; set; }

        public SinkShare? Newest { get; set; }
    }
}
