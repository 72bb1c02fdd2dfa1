namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>
/// Decides when to let messages pile up. The server sends every message by itself, so a reader that keeps up pays a system call,
/// often a wake-up too, for each. While messages come fast and the reader is at their head, a short pause takes many at once;
/// when they come slowly, each is taken as it comes, and while the reader is behind there is nothing to wait for.
/// </summary>
internal sealed class ArrivalPace(TimeProvider time)
{
    /// <summary>How long to pause: what it may add to a change's latency while messages come fast.</summary>
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

    // Age of a message that has just arrived: the network, and the difference between the two clocks.
    private TimeSpan _youngest = TimeSpan.MaxValue;

    /// <summary>Whether to pause before the next message.</summary>
    public bool PauseDue { get; private set; }

    /// <summary>A message was taken.</summary>
    /// <param name="sent">When the server sent it, by its clock.</param>
    /// <param name="waited">Whether the reader had to wait for it, so that nothing was buffered anywhere.</param>
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
        // What was waited for is fresh by nature, whatever the clocks say: it corrects the measure upwards too.
        if (age < _youngest)
            _youngest = age;
        else if (waited)
            _youngest = age < _youngest + Drift ? age : _youngest + Drift;
        PauseDue = _fast && (waited || age - _youngest < Fresh);
    }

    /// <summary>The pause was made.</summary>
    public void Paused() => PauseDue = false;
}
