namespace CdcOrleans.Grains.Sources;

/// <summary>
/// Measures changes per second: over about 0.1 s for decisions, and over 3 s for the status. One thread may write; any thread may read.
/// </summary>
internal sealed class RateMeter(TimeProvider time)
{
    private static readonly TimeSpan Slot = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan ShownWindow = TimeSpan.FromSeconds(3);

    private readonly Lock _gate = new();
    private readonly Queue<(long At, long Total)> _samples = new();
    private long _slotStart = time.GetTimestamp();
    private int _slotCount;
    private int _untilCheck;

    /// <summary>Changes per second over the last slot of at least 0.1 s.</summary>
    public double Recent { get; private set; }

    public void Count(int changes)
    {
        _slotCount += changes;
        if (--_untilCheck > 0)
            return;
        var elapsed = time.GetElapsedTime(_slotStart);
        if (elapsed >= Slot)
        {
            Recent = _slotCount / elapsed.TotalSeconds;
            _slotCount = 0;
            _slotStart = time.GetTimestamp();
        }

        // At high rates the clock is read for every 16th call only.
        _untilCheck = Recent > 10_000 ? 16 : 1;
    }

    /// <summary>Returns changes per second over the last 3 s. Each call adds a sample of the total, which must never decrease.</summary>
    public double PerSecond(long total)
    {
        lock (_gate)
        {
            var now = time.GetTimestamp();
            _samples.Enqueue((now, total));
            while (_samples.Count > 2 && time.GetElapsedTime(_samples.Peek().At, now) > ShownWindow)
                _samples.Dequeue();
            var (at, first) = _samples.Peek();
            var seconds = time.GetElapsedTime(at, now).TotalSeconds;
            return seconds < 0.05 ? 0 : (total - first) / seconds;
        }
    }
}
