namespace CdcOrleans.Samples.TheWorldShop.Load;

/// <summary>
/// Lets changes go at a steady rate. Every change has its due time on one schedule that starts with the first: a late one
/// is followed at once by the next, so the total never drifts.
/// </summary>
internal sealed class Pacer(double changesPerSecond, TimeSpan? duration, TimeProvider time)
{
    private readonly long _start = time.GetTimestamp();
    private long _taken;

    /// <summary>Waits until the next <paramref name="changes"/> are due; false when the duration is over first.</summary>
    public async ValueTask<bool> Next(int changes, CancellationToken cancellation)
    {
        var before = Interlocked.Add(ref _taken, changes) - changes;
        var now = time.GetElapsedTime(_start);
        var due = changesPerSecond > 0 ? TimeSpan.FromSeconds(before / changesPerSecond) : now;
        if (duration is { } end && (due >= end || now >= end))
            return false;
        if (due > now)
            await Task.Delay(due - now, time, cancellation);
        return !cancellation.IsCancellationRequested;
    }
}
