namespace CdcOrleans.Sinks;

/// <summary>Waiting times between attempts: exponential with full jitter over the upper half.</summary>
internal static class Backoff
{
    /// <summary>The wait after a number of failures in a row, from 1.</summary>
    /// <param name="failures">Failures so far.</param>
    /// <param name="first">Longest wait after the first failure.</param>
    /// <param name="longest">Longest wait ever.</param>
    /// <param name="random">0 ≤ random &lt; 1.</param>
    public static TimeSpan After(int failures, TimeSpan first, TimeSpan longest, double random)
    {
        var ceiling = Math.Min(first.TotalMilliseconds * Math.Pow(2, Math.Clamp(failures - 1, 0, 30)), longest.TotalMilliseconds);
        return TimeSpan.FromMilliseconds(ceiling * (0.5 + (random / 2)));
    }
}
