using CdcOrleans.Model.Capture;

namespace CdcOrleans.Capture.Postgres.Backfills;

/// <summary>
/// Says how many rows of a chunk are fetched next, so that the chunk ends about at its bounds. The first row is fetched alone. What the server
/// does before it, such as sorting, takes as long for any chunk, so the time of the chunk begins there. From then on, no fetch is larger than
/// what fits into the rest of the time at the pace of the fetch before.
/// </summary>
/// <param name="bounds">The bounds.</param>
/// <param name="time">The clock.</param>
internal sealed class FetchSizes(ChunkBounds bounds, TimeProvider time)
{
    /// <summary>Most rows that are fetched at once.</summary>
    private const int Most = 1024;

    /// <summary>The fetch after the first row.</summary>
    private const int Second = 16;

    private long _firstAt;
    private long _begunAt;
    private int _last;

    // Of the last fetch.
    private TimeSpan _perRow;

    // The first row may have taken long for another reason.
    private bool _isPaceKnown;

    /// <summary>Rows so far.</summary>
    public int Rows { get; private set; }

    /// <summary>Bytes of values so far.</summary>
    public long Bytes { get; private set; }

    /// <summary>Whether the bytes are used up.</summary>
    public bool HasAllBytes => Rows > 0 && Bytes >= bounds.Bytes;

    /// <summary>Whether the chunk takes no more.</summary>
    public bool IsFull => Rows > 0 && (Rows >= bounds.Rows || HasAllBytes || Left <= (_isPaceKnown ? _perRow : TimeSpan.Zero));

    private TimeSpan Left => bounds.Time - time.GetElapsedTime(_firstAt);

    /// <summary>Begins the next fetch. Returns how many rows it has.</summary>
    public int Begin()
    {
        _begunAt = time.GetTimestamp();
        return _last = Rows == 0 ? 1 : (int)Math.Clamp(Math.Min(Math.Min(Growth, InTime), Math.Min(InBytes, bounds.Rows - Rows)), 1, Most);
    }

    /// <summary>Counts a row.</summary>
    /// <param name="bytes">The bytes of its values.</param>
    public void Add(long bytes)
    {
        Rows++;
        Bytes += bytes;
    }

    /// <summary>Ends a fetch.</summary>
    /// <param name="rows">How many rows it had.</param>
    public void End(int rows)
    {
        if (rows == 0)
            return;
        var now = time.GetTimestamp();
        _perRow = time.GetElapsedTime(_begunAt, now) / rows;
        if (_last > 1 || Rows > 1)
            _isPaceKnown = true;
        else
            _firstAt = now;
    }

    private long Growth => _isPaceKnown ? 2L * _last : Second;

    private long InTime => _perRow <= TimeSpan.Zero ? Most : (long)Math.Clamp(Left / _perRow, 0, Most);

    private long InBytes => (bounds.Bytes - Bytes) / Math.Max(1, Bytes / Rows);
}
