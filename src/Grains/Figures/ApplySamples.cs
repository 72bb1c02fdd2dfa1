using CdcOrleans.Model;

namespace CdcOrleans.Grains.Figures;

/// <summary>
/// Measures how long changes take from the reader until they are applied: of the first change of each batch of a partition. A sample is kept
/// by the place of its change. If very many changes are unfinished, a newer sample may replace an older one, which is then not measured.
/// <see cref="Begin"/> is called by one thread at a time, <see cref="Applied"/> from any thread.
/// </summary>
/// <param name="times">Where the times are counted.</param>
/// <param name="time">The clock.</param>
internal sealed class ApplySamples(TimeHistogram times, TimeProvider time)
{
    /// <summary>Number of samples that are kept: more than a partition has of changes in a window of the usual size.</summary>
    private const int Size = 512;

    private readonly Sample[] _samples = new Sample[Size];

    /// <summary>Keeps when a change was sent.</summary>
    /// <param name="place">Place of the change in the partition's sequence, from 0.</param>
    /// <param name="sentMicros">When its batch was sent, in microseconds since 1970.</param>
    public void Begin(long place, long sentMicros)
    {
        ref var sample = ref _samples[place & (Size - 1)];
        Volatile.Write(ref sample.Number, 0);
        Volatile.Write(ref sample.SentMicros, sentMicros);
        Volatile.Write(ref sample.Number, place + 1);
    }

    /// <summary>Measures a change that was applied. Returns the time, as a timestamp of the clock, or 0 when the change is not sampled.</summary>
    public long Applied(long place)
    {
        ref var sample = ref _samples[place & (Size - 1)];
        var number = place + 1;
        if (Volatile.Read(ref sample.Number) != number)
            return 0;
        var sent = Volatile.Read(ref sample.SentMicros);
        if (Interlocked.CompareExchange(ref sample.Number, 0, number) != number)
            return 0;
        times.Record(time.GetUtcNow() - DateTimeOffset.UnixEpoch.AddTicks(sent * TimeSpan.TicksPerMicrosecond));
        return time.GetTimestamp();
    }

    private struct Sample
    {
        /// <summary>One more than the place of the change; 0 when there is none.</summary>
        public long Number;

        public long SentMicros;
    }
}
