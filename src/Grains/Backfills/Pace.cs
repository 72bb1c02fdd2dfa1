using CdcOrleans.Model.Capture;

namespace CdcOrleans.Grains.Backfills;

/// <summary>Holds reading back, so that no more rows of all tables are read per second than asked for. Safe for concurrent use.</summary>
/// <param name="rate">Most rows per second; 0 for no limit.</param>
/// <param name="chunkTime">How long the rows of a chunk are read.</param>
/// <param name="time">The clock.</param>
/// <param name="stop">Cancels.</param>
internal sealed class Pace(int rate, TimeSpan chunkTime, TimeProvider time, CancellationToken stop)
{
    private readonly Lock _gate = new();
    private long _freeAt = time.GetTimestamp();

    /// <summary>Where a chunk ends: one that takes longer than a second at the rate would come in bursts.</summary>
    public ChunkBounds Bounds { get; } = new()
    {
        Rows = rate == 0 ? new ChunkBounds().Rows : Math.Clamp(rate / 2, 1, new ChunkBounds().Rows), Time = chunkTime,
    };

    /// <summary>Waits until rows may be sent.</summary>
    public async Task Take(int rows)
    {
        if (rate == 0)
            return;
        var now = time.GetTimestamp();
        long at;
        lock (_gate)
        {
            at = Math.Max(_freeAt, now);
            _freeAt = at + (time.TimestampFrequency * rows / rate);
        }

        if (at > now)
            await Task.Delay(time.GetElapsedTime(now, at), time, stop);
    }
}
