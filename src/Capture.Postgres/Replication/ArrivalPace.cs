namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>
/// Decides when to pause so that several messages arrive. The server sends every message by itself, so a reader that keeps up pays a system
/// call, and often a wake-up, for each. When messages come fast and the reader keeps up, a short pause makes one read take many. When
/// messages come slowly, each is read at once. When the reader is behind, a pause is of no use.
/// </summary>
internal sealed class ArrivalPace(TimeProvider time)
{
    /// <summary>Length of the pause: the latency that it may add to a change while messages come fast.</summary>
    public static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(2);

    private const int Sample = 32;

    // Ten messages a millisecond: more than three thousand single-row transactions a second.
    private static readonly TimeSpan FastSample = TimeSpan.FromMilliseconds(3.2);

    private static readonly TimeSpan SlowGap = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan Fresh = TimeSpan.FromMicroseconds(100);
    private static readonly TimeSpan Drift = TimeSpan.FromMicroseconds(50);

    private int _messages;
    private bool _fast;
    private DateTime _sampled;
    private DateTime _previous;

    // Age of a message when it arrives: the delay of the network plus the difference between the two clocks.
    private TimeSpan _youngest = TimeSpan.MaxValue;

    /// <summary>Whether to pause before the next message.</summary>
    public bool PauseDue { get; private set; }

    /// <summary>Records that a message was read.</summary>
    /// <param name="sent">When the server sent it, by the server's clock.</param>
    /// <param name="waited">Whether the reader had to wait for it. Then nothing was buffered.</param>
    public void Taken(DateTime sent, bool waited)
    {
        if (++_messages < Sample && !waited)
        {
            _previous = sent;
            return;
        }

        if (_messages >= Sample)
        {
            _messages = 0;
            _fast = sent - _sampled < FastSample;
            _sampled = sent;
        }
        else if (sent - _previous > SlowGap)
        {
            _fast = false;
        }

        _previous = sent;
        if (!waited && !_fast)
            return;
        var age = time.GetUtcNow().UtcDateTime - sent;
        // A message that the reader waited for has just arrived, whatever the clocks say. So it can also raise the measured age.
        if (age < _youngest)
            _youngest = age;
        else if (waited)
            _youngest = age < _youngest + Drift ? age : _youngest + Drift;
        PauseDue = _fast && (waited || age - _youngest < Fresh);
    }

    /// <summary>Records that the pause was made.</summary>
    public void Paused() => PauseDue = false;
}
