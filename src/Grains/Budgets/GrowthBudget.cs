namespace CdcOrleans.Grains.Budgets;

/// <summary>Somebody who waits for room in a <see cref="GrowthBudget"/>.</summary>
internal interface IRoomWaiter
{
    /// <summary>There is room. Any thread; quick.</summary>
    /// <returns>Whether it is taken.</returns>
    bool OnRoom(long bytes);
}

/// <summary>
/// Bytes that applies under way may need beyond what their changes were counted with when they were read: an update that leaves large
/// values out is completed from the stored row, and the event carries that row twice. Applies that grow little do not ask. Those that
/// do not fit wait their turn, first come, first served, over all partitions of a source on this silo; one larger than the whole
/// passes by itself. Safe for concurrent use.
/// </summary>
internal sealed class GrowthBudget(long limit)
{
    /// <summary>Growth of an apply that is not worth a count.</summary>
    public const int Free = 32 << 10;

    private readonly Lock _gate = new();
    private readonly Queue<(IRoomWaiter Waiter, long Bytes)> _waiting = new();
    private long _bytes;

    /// <summary>Bytes taken.</summary>
    public long Bytes
    {
        get
        {
            lock (_gate)
                return _bytes;
        }
    }

    /// <summary>Takes bytes for an apply; false when the waiter has to wait until it hears of room.</summary>
    public bool TryTake(IRoomWaiter waiter, long bytes)
    {
        lock (_gate)
        {
            if (_waiting.Count == 0 && Fits(bytes))
            {
                _bytes += bytes;
                return true;
            }

            _waiting.Enqueue((waiter, bytes));
            return false;
        }
    }

    /// <summary>Gives back what an apply took, and tells those that fit now.</summary>
    public void Give(long bytes)
    {
        lock (_gate)
        {
            _bytes -= bytes;
            while (_waiting.TryPeek(out var next) && Fits(next.Bytes))
            {
                _waiting.Dequeue();
                if (next.Waiter.OnRoom(next.Bytes))
                    _bytes += next.Bytes;
            }
        }
    }

    private bool Fits(long bytes) => _bytes == 0 || _bytes + bytes <= limit;
}
