using CdcOrleans.Model.Retries;

namespace CdcOrleans.Grains.Deliveries;

/// <summary>
/// The circuit of a sink, or of one destination within it. It opens when nothing succeeds for a while. While it is open, nothing passes but
/// one probe at a time, after growing waits. It closes when something succeeds. Safe for concurrent use.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="chance">The next random number from 0 to 1.</param>
internal sealed class Circuit(TimeProvider time, Func<double> chance)
{
    /// <summary>Time after which a probe without an answer is given up on, so that another one can begin.</summary>
    private static readonly TimeSpan ProbeTime = TimeSpan.FromMinutes(1);

    private static readonly RetryPolicy Waits = new(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30));

    private readonly Lock _gate = new();
    private volatile bool _isOpen;
    private volatile bool _isFailing;
    private volatile string? _error;
    private long _failingSince;
    private long _probeAt;
    private int _probes;
    private bool _isProbing;

    /// <summary>Whether it is open.</summary>
    public bool IsOpen => _isOpen;

    /// <summary>Whether nothing has succeeded since the last failure.</summary>
    public bool IsFailing => _isFailing;

    /// <summary>The last failure; null when something succeeded after it.</summary>
    public string? Error => _error;

    /// <summary>Whether it is open, and it is not time for a probe.</summary>
    public bool IsShut
    {
        get
        {
            if (!_isOpen)
                return false;
            lock (_gate)
                return _isOpen && !IsTimeToProbe;
        }
    }

    /// <summary>Records a failure. Returns true when the circuit opens now.</summary>
    /// <param name="error">The error, in words.</param>
    /// <param name="patience">The circuit opens when nothing has succeeded for this time.</param>
    public bool Failed(string error, TimeSpan patience)
    {
        lock (_gate)
        {
            var now = time.GetTimestamp();
            _error = error;
            if (!_isFailing)
            {
                _isFailing = true;
                _failingSince = now;
            }

            if (_isOpen)
            {
                if (_isProbing)
                    WaitForProbe(now);
                return false;
            }

            if (time.GetElapsedTime(_failingSince, now) < patience)
                return false;
            Open(now);
            return true;
        }
    }

    /// <summary>Opens the circuit at once. Returns true when it was closed.</summary>
    public bool Trip(string error)
    {
        lock (_gate)
        {
            _error = error;
            var now = time.GetTimestamp();
            if (_isOpen)
            {
                if (_isProbing)
                    WaitForProbe(now);
                return false;
            }

            if (!_isFailing)
                _failingSince = now;
            _isFailing = true;
            Open(now);
            return true;
        }
    }

    /// <summary>Records a success. Returns true when the circuit closes now.</summary>
    public bool Succeeded()
    {
        if (!_isFailing)
            return false;
        lock (_gate)
        {
            var wasOpen = _isOpen;
            _isOpen = _isFailing = _isProbing = false;
            _error = null;
            _probes = 0;
            return wasOpen;
        }
    }

    /// <summary>Whether something may pass now: the circuit is closed, or it is time for a probe, which then begins.</summary>
    public bool TryPass()
    {
        if (!_isOpen)
            return true;
        lock (_gate)
        {
            if (!_isOpen)
                return true;
            if (!IsTimeToProbe)
                return false;
            _isProbing = true;
            return true;
        }
    }

    private bool IsTimeToProbe =>
        time.GetTimestamp() is var now && (_isProbing ? time.GetElapsedTime(_probeAt, now) >= ProbeTime : now >= _probeAt);

    private void Open(long now)
    {
        _isOpen = true;
        WaitForProbe(now);
    }

    private void WaitForProbe(long now)
    {
        _isProbing = false;
        _probeAt = now + (long)(Waits.After(++_probes, chance()).TotalSeconds * time.TimestampFrequency);
    }
}
