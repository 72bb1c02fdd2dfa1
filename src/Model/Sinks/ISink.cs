namespace CdcOrleans.Model.Sinks;

/// <summary>
/// A destination. It batches across deliveries by itself, retries what may pass, and completes every delivery exactly once.
/// While the destination is out of reach deliveries wait; how many there can be is bounded by whoever sends them.
/// </summary>
public interface ISink : IAsyncDisposable
{
    /// <summary>The sink's name in the configuration.</summary>
    string Name { get; }

    /// <summary>
    /// Bytes of key and value of the largest event that the destination takes; null without a limit. Of a change whose event is larger, the
    /// sink gets an event with less in it, where that fits.
    /// </summary>
    long? LargestEvent => null;

    /// <summary>
    /// Takes a delivery and returns at once. Never blocks, never throws for trouble at the destination.
    /// Deliveries that share a key are handed in one after the other: the next only after the last completed.
    /// </summary>
    void Deliver(Delivery delivery);

    /// <summary>How the sink is doing.</summary>
    SinkStatus Status { get; }
}

/// <summary>Events of one entity that a sink delivers in order. Completed once, from any thread.</summary>
public abstract class Delivery
{
    /// <summary>The events, in order; at least one. Not to be changed once handed to a sink.</summary>
    public abstract IReadOnlyList<SinkEvent> Events { get; }

    /// <summary>
    /// Called by the sink when every event was delivered or refused for good (<see cref="SinkEvent.Refusal"/>).
    /// Must be quick and must not throw.
    /// </summary>
    public abstract void Complete();
}

/// <summary>How a sink is doing.</summary>
public sealed record SinkStatus
{
    /// <summary>The sink's name.</summary>
    public required string Name { get; init; }

    /// <summary>Its type, such as <c>kafka</c>.</summary>
    public required string Type { get; init; }

    /// <summary>Whether the destination accepts events; false while it cannot be reached and deliveries wait.</summary>
    public required bool Healthy { get; init; }

    /// <summary>Message of the last failure; null when there was none.</summary>
    public string? LastError { get; init; }

    /// <summary>Events delivered since start.</summary>
    public required long Delivered { get; init; }

    /// <summary>Events refused for good since start.</summary>
    public required long Refused { get; init; }

    /// <summary>Events handed in and not yet completed.</summary>
    public required long Waiting { get; init; }
}
