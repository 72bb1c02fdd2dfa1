namespace CdcOrleans.Model;

/// <summary>Counts times by how long they are. Safe for concurrent use; recording takes some nanoseconds and no memory.</summary>
public sealed class TimeHistogram
{
    /// <summary>Upper bounds in microseconds, rising. Times beyond the last one are counted apart.</summary>
    private static readonly long[] Micros =
    [
        500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000, 60_000_000, 600_000_000,
    ];

    private readonly long[] _counts = new long[Micros.Length + 1];
    private long _sum;

    /// <summary>The upper bounds in seconds.</summary>
    public static IReadOnlyList<double> Bounds { get; } = [.. Micros.Select(m => m / 1e6)];

    /// <summary>Counts a time. A negative one, of two clocks that differ, counts as zero.</summary>
    public void Record(TimeSpan time)
    {
        var micros = Math.Max(0, time.Ticks / TimeSpan.TicksPerMicrosecond);
        var bucket = 0;
        while (bucket < Micros.Length && micros > Micros[bucket])
            bucket++;
        Interlocked.Increment(ref _counts[bucket]);
        Interlocked.Add(ref _sum, micros);
    }

    /// <summary>Returns the counts.</summary>
    public TimeCounts Take()
    {
        var counts = new long[_counts.Length];
        for (var i = 0; i < counts.Length; i++)
            counts[i] = Interlocked.Read(ref _counts[i]);
        return new TimeCounts(counts, Interlocked.Read(ref _sum) / 1e6);
    }
}

/// <summary>The counts of a <see cref="TimeHistogram"/>.</summary>
/// <param name="Counts">How many times are within each of <see cref="TimeHistogram.Bounds"/> and not within the one before; last those beyond all.</param>
/// <param name="SumSeconds">Sum of all times.</param>
public sealed record TimeCounts(IReadOnlyList<long> Counts, double SumSeconds);
