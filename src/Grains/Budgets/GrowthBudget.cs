namespace CdcOrleans.Grains.Budgets;

/// <summary>Waits for room in a <see cref="GrowthBudget"/>.</summary>
internal interface IRoomWaiter
{
    /// <summary>Called when there is room for the requested bytes. Any thread; must return quickly.</summary>
    /// <returns>Whether the waiter uses the room.</returns>
    bool OnRoom(long bytes);
}

/// <summary>
/// Limits the memory that applies in progress need in addition to their changes. An update without large values is small in the window, but
/// it is completed from the stored row, and its event contains this row twice. Applies that need little memory do not use the budget.
/// Applies that do not fit wait in a queue, which all partitions of a source on this silo share. An apply that is larger than the limit
/// runs when no other apply uses the budget. Safe for concurrent use.
/// </summary>
/// <param name="limit">The limit, in bytes.</param>
internal sealed class GrowthBudget(long limit)
{
    /// <summary>Applies that need no more bytes than this do not use the budget.</summary>
    public const int Free = 32 << 10;

    private readonly Lock _gate = new();
    private readonly Queue<(IRoomWaiter Waiter, long Bytes)> _waiting = new();
    private long _bytes;

    /// <summary>Reserved bytes.</summary>
    public long Bytes
    {
        get
        {
            lock (_gate)
                return _bytes;
        }
    }

    /// <summary>Reserves bytes for an apply; false when the waiter must wait for <see cref="IRoomWaiter.OnRoom"/>.</summary>
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

    /// <summary>Releases the bytes of an apply, and notifies the waiters that fit now.</summary>
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
