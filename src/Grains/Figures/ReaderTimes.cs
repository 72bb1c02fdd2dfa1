using CdcOrleans.Model;

namespace CdcOrleans.Grains.Figures;

/// <summary>How long changes take until the reader has them, and until it sends them to their partitions. Of one change in each batch.</summary>
internal sealed class ReaderTimes(TimeProvider time)
{
    private readonly TimeHistogram _read = new();
    private readonly TimeHistogram _dispatched = new();

    /// <summary>From commit until the change was read and had its place in the window.</summary>
    public TimeCounts Reads => _read.Take();

    /// <summary>From there until it was sent to its partition.</summary>
    public TimeCounts Dispatches => _dispatched.Take();

    /// <summary>Records that a change was read. Returns the time, as a timestamp of the clock.</summary>
    /// <param name="commitMicros">Commit time, in microseconds since 1970.</param>
    public long Read(long commitMicros)
    {
        _read.Record(time.GetUtcNow() - DateTimeOffset.UnixEpoch.AddTicks(commitMicros * TimeSpan.TicksPerMicrosecond));
        return time.GetTimestamp();
    }

    /// <summary>Records that it was sent.</summary>
    /// <param name="readAt">When it was read, as a timestamp of the clock.</param>
    public void Dispatched(long readAt) => _dispatched.Record(time.GetElapsedTime(readAt));
}
