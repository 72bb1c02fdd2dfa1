namespace CdcOrleans.Grains.Budgets;

/// <summary>Waits for room in a <see cref="MemoryBudget"/>.</summary>
internal interface IRoomWaiter
{
    /// <summary>Called when there is room for the requested bytes. Any thread; must return quickly.</summary>
    /// <returns>Whether the waiter uses the room.</returns>
    bool OnRoom(long bytes);
}

/// <summary>What a <see cref="MemoryBudget"/> contains.</summary>
/// <param name="Limit">The limit, in bytes.</param>
/// <param name="Applies">Bytes reserved by applies in progress.</param>
/// <param name="Unsaved">Bytes of states and dead letters that are not durable.</param>
/// <param name="Waiting">Applies, and reads of states, that wait for room.</param>
/// <param name="Rows">Bytes of rows of backfills that partitions have and that are not finished.</param>
internal readonly record struct MemoryUse(long Limit, long Applies, long Unsaved, int Waiting, long Rows = 0);

/// <summary>
/// Limits the memory that the changes of one source need on one silo, in addition to the changes themselves, which the reader's window
/// limits. It has three parts. Applies in progress reserve what they need before they read a state or make an event: the state, the completed
/// row, the events, and the sinks' copies of them. States and dead letters that are not durable are counted as they are.
/// Rows of backfills have room from before a partition takes them until they are finished.
/// <para>
/// Who waits for room holds none, and nothing that is already in the budget waits for room. So there is no deadlock. What is larger than
/// the limit gets room when nothing else is being applied and most of what was unsaved is durable. Waiters are served in their order. Safe
/// for concurrent use.
/// </para>
/// <para>
/// Rows of backfills are the exception: they hold room, and their applies wait for room. So rows have at most a part of the limit, and no
/// apply waits for that part. Rows wait in a queue of their own, until there are few enough earlier ones; what is larger than the part gets
/// room when there are no others.
/// </para>
/// </summary>
/// <param name="limit">The limit, in bytes.</param>
internal sealed class MemoryBudget(long limit)
{
    /// <summary>
    /// An apply that needs no more bytes than this does not use the budget. The number of such applies is limited by the window, in changes.
    /// </summary>
    public const int Free = 4 << 10;

    /// <summary>The part of the limit, as a divisor, that may be unsaved while an apply is larger than the limit.</summary>
    private const int UnsavedBesideLarge = 4;

    /// <summary>The part of the limit, as a divisor, that rows of backfills may have.</summary>
    private const int OfRows = 4;

    private readonly Lock _gate = new();
    private readonly Queue<(IRoomWaiter Waiter, long Bytes)> _waiting = new();
    private readonly Queue<(IRoomWaiter Waiter, long Bytes)> _waitingRows = new();
    private long _applies;
    private long _unsaved;
    private long _rows;

    /// <summary>What the budget contains now.</summary>
    public MemoryUse Use
    {
        get
        {
            lock (_gate)
                return new MemoryUse(limit, _applies, _unsaved, _waiting.Count, _rows);
        }
    }

    /// <summary>Reserves bytes for an apply; false when the waiter must wait for <see cref="IRoomWaiter.OnRoom"/>.</summary>
    public bool TryTake(IRoomWaiter waiter, long bytes)
    {
        lock (_gate)
        {
            if (TryTakeNow(bytes))
                return true;
            _waiting.Enqueue((waiter, bytes));
            return false;
        }
    }

    /// <summary>Reserves bytes for an apply; false when there is no room now, or others wait for it.</summary>
    public bool TryTake(long bytes)
    {
        lock (_gate)
            return TryTakeNow(bytes);
    }

    /// <summary>Releases the bytes of an apply, and notifies the waiters that fit now.</summary>
    public void Give(long bytes)
    {
        if (bytes == 0)
            return;
        lock (_gate)
        {
            _applies -= bytes;
            Admit();
        }
    }

    /// <summary>Reserves bytes for rows of a backfill; false when the waiter must wait for <see cref="IRoomWaiter.OnRoom"/>.</summary>
    public bool TryTakeRows(IRoomWaiter waiter, long bytes)
    {
        lock (_gate)
        {
            if (_waitingRows.Count > 0 || !RowsFit(bytes))
            {
                _waitingRows.Enqueue((waiter, bytes));
                return false;
            }

            _rows += bytes;
            return true;
        }
    }

    /// <summary>Releases the bytes of rows that are finished or given up.</summary>
    public void GiveRows(long bytes)
    {
        if (bytes == 0)
            return;
        lock (_gate)
        {
            _rows -= bytes;
            Admit();
        }
    }

    /// <summary>Counts bytes that are not durable yet; negative when they became durable or were dropped.</summary>
    public void AddUnsaved(long bytes)
    {
        lock (_gate)
        {
            _unsaved += bytes;
            if (bytes < 0)
                Admit();
        }
    }

    private bool TryTakeNow(long bytes)
    {
        if (_waiting.Count > 0 || !Fits(bytes))
            return false;
        _applies += bytes;
        return true;
    }

    private void Admit()
    {
        while (_waiting.TryPeek(out var next) && Fits(next.Bytes))
        {
            _waiting.Dequeue();
            _applies += next.Bytes;
            if (!next.Waiter.OnRoom(next.Bytes))
                _applies -= next.Bytes;
        }

        while (_waitingRows.TryPeek(out var next) && RowsFit(next.Bytes))
        {
            _waitingRows.Dequeue();
            _rows += next.Bytes;
            if (!next.Waiter.OnRoom(next.Bytes))
                _rows -= next.Bytes;
        }
    }

    private bool RowsFit(long bytes) => _rows == 0 || (_rows + bytes <= limit / OfRows && _applies + _unsaved + _rows + bytes <= limit);

    private bool Fits(long bytes) => _applies + _unsaved + Math.Min(_rows, limit / OfRows) + bytes <= limit || (_applies == 0 && _unsaved <= limit / UnsavedBesideLarge);
}
