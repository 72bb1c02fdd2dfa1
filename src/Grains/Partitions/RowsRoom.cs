using CdcOrleans.Grains.Budgets;

namespace CdcOrleans.Grains.Partitions;

/// <summary>The room of rows that are not here yet: the partition asks for them when it has it. Safe for concurrent use.</summary>
/// <param name="bytes">The bytes of the rows.</param>
internal sealed class RowsRoom(long bytes) : IRoomWaiter
{
    private const int Waiting = 0, Granted = 1, Ended = 2;

    private readonly TaskCompletionSource _granted = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _state;

    /// <summary>The bytes of the rows.</summary>
    public long Bytes { get; } = bytes;

    /// <summary>Completed when there is room; cancelled when nobody waits for it any more.</summary>
    public Task Room => _granted.Task;

    /// <summary>When somebody last asked for it, as a timestamp of the clock.</summary>
    public long AskedAt { get; set; }

    /// <inheritdoc />
    public bool OnRoom(long bytes)
    {
        if (Interlocked.CompareExchange(ref _state, Granted, Waiting) != Waiting)
            return false;
        _granted.TrySetResult();
        return true;
    }

    /// <summary>Ends it. Returns whether there is room, which then belongs to the caller.</summary>
    public bool End()
    {
        var before = Interlocked.Exchange(ref _state, Ended);
        _granted.TrySetCanceled();
        return before == Granted;
    }
}
