using System.Runtime.InteropServices;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Sinks;

/// <summary>The health and the counters of a sink. It costs little per event, and it is safe for concurrent use.</summary>
internal sealed class SinkHealth(string name, string type)
{
    private volatile bool _healthy = true;
    private volatile string? _lastError;
    private long _delivered;
    private long _refused;
    private long _failed;

    // Partitions count here, and the thread that answers counts above: far enough from each other not to share a line of the cache.
    private PaddedCount _taken;

    public string Name => name;

    public SinkStatus Status
    {
        get
        {
            // What is answered is read first: it was taken before.
            var (delivered, refused, failed) = (Interlocked.Read(ref _delivered), Interlocked.Read(ref _refused), Interlocked.Read(ref _failed));
            return new SinkStatus
            {
                Name = name,
                Type = type,
                Healthy = _healthy,
                LastError = _lastError,
                Delivered = delivered,
                Refused = refused,
                Failed = failed,
                Waiting = Interlocked.Read(ref _taken.Value) - delivered - refused - failed,
            };
        }
    }

    public void Taken(int events) => Interlocked.Add(ref _taken.Value, events);

    /// <summary>
    /// Counts the outcomes of a delivery, and then completes it. After an event that failed for now, the later ones of its entity fail too.
    /// </summary>
    public void Complete(Delivery delivery)
    {
        var events = delivery.Events;
        var count = events.Count;
        int refused = 0, failed = 0;
        for (var i = 0; i < count; i++)
        {
            if (failed > 0)
                events[i].Failure ??= FailureBefore(events, i);
            if (events[i].Failure is { } failure)
            {
                if (failure.IsFinal)
                    refused++;
                else
                    failed++;
            }
        }

        Interlocked.Add(ref _delivered, count - refused - failed);
        if (refused > 0)
            Interlocked.Add(ref _refused, refused);
        if (failed > 0)
            Interlocked.Add(ref _failed, failed);
        delivery.Complete();
    }

    private static DeliveryFailure? FailureBefore(IReadOnlyList<SinkEvent> events, int index)
    {
        for (var i = 0; i < index; i++)
        {
            if (events[i].Failure is { IsFinal: false } failure && events[i].Entity == events[index].Entity)
                return failure;
        }

        return null;
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

    [StructLayout(LayoutKind.Explicit, Size = 192)]
    private struct PaddedCount
    {
        [FieldOffset(64)]
        public long Value;
    }
}
