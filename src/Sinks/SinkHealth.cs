using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Sinks;

/// <summary>The health and the counters of a sink. It costs little per event, and it is safe for concurrent use.</summary>
internal sealed class SinkHealth(string name, string type)
{
    private volatile bool _healthy = true;
    private volatile string? _lastError;
    private long _delivered;
    private long _refused;
    private long _waiting;

    public string Name => name;

    public SinkStatus Status => new()
    {
        Name = name,
        Type = type,
        Healthy = _healthy,
        LastError = _lastError,
        Delivered = Interlocked.Read(ref _delivered),
        Refused = Interlocked.Read(ref _refused),
        Waiting = Interlocked.Read(ref _waiting),
    };

    public void Taken(int events) => Interlocked.Add(ref _waiting, events);

    /// <summary>Counts a delivery that is about to be completed.</summary>
    public void Completed(int events, int refused)
    {
        Interlocked.Add(ref _waiting, -events);
        Interlocked.Add(ref _delivered, events - refused);
        if (refused > 0)
            Interlocked.Add(ref _refused, refused);
    }

    /// <summary>Records a failure that does not mean that the destination cannot be reached.</summary>
    public void Trouble(string error) => _lastError = error;

    /// <summary>Records that the destination cannot be reached. Returns true when this is new.</summary>
    public bool Down(string error)
    {
        _lastError = error;
        var wasHealthy = _healthy;
        _healthy = false;
        return wasHealthy;
    }

    /// <summary>Records that the destination accepted something. Returns true when it could not be reached before.</summary>
    public bool Up()
    {
        if (_healthy)
            return false;
        _healthy = true;
        return true;
    }
}
