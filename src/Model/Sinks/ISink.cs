using CdcOrleans.Model.Storage;

namespace CdcOrleans.Model.Sinks;

/// <summary>
/// A destination. It batches across deliveries by itself, and answers every delivery once, with an outcome for each event. It does not
/// try again what failed: whoever sends the delivery decides when that is done. How many deliveries are open is bounded by the sender too.
/// </summary>
/// <remarks>
/// Events of one entity stay in order: when one of them fails for now, the later ones of the same entity in the same delivery fail too.
/// A sink may repeat an event that it has delivered, but it never delivers an event without those before it.
/// </remarks>
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
    /// Accepts a delivery and returns at once. Never blocks, never throws for an error of the destination.
    /// Deliveries with events of the same entity are passed one after the other: the next one after the answer to the one before.
    /// </summary>
    void Deliver(Delivery delivery);

    /// <summary>
    /// The destination of an event within the sink, such as its topic. A failure of the scope <see cref="FailureScope.Destination"/> names it.
    /// </summary>
    string DestinationOf(SinkEvent sent) => sent.Topic;

    /// <summary>
    /// Asks the destination whether it can be reached and would take events, as far as that can be known without an event. Sends none, and
    /// changes neither the status nor what is being delivered. Never throws for an error of the destination.
    /// </summary>
    /// <param name="limit">Longest time; a destination that has not answered by then fails the test.</param>
    /// <param name="cancellation">Cancels.</param>
    /// <returns>What is wrong, in words, with the remedy where it is known; null when nothing is.</returns>
    Task<string?> Test(TimeSpan limit, CancellationToken cancellation);

    /// <summary>How the sink is doing.</summary>
    SinkStatus Status { get; }
}

/// <summary>Events that a sink delivers; those of one entity in order. Completed once for each time that it is passed to a sink, from any thread.</summary>
public abstract class Delivery
{
    /// <summary>The events, in order; at least one. They do not change while a sink has the delivery.</summary>
    public abstract IReadOnlyList<SinkEvent> Events { get; }

    /// <summary>
    /// Called by the sink when every event has an outcome: those without a <see cref="SinkEvent.Failure"/> were delivered.
    /// Must be quick and must not throw. Afterwards the sink does not use the delivery any more.
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

    /// <summary>Events that failed for now, counted once for each attempt, since start.</summary>
    public required long Failed { get; init; }

    /// <summary>Events passed to the sink and not yet answered.</summary>
    public required long Waiting { get; init; }

    /// <summary>Parked events of the source's partitions on the silo.</summary>
    public long Parked { get; init; }

    /// <summary>Bytes of the parked events.</summary>
    public long ParkedBytes { get; init; }

    /// <summary>Seconds since an entity's oldest parked event was tried first, for the entity that has waited longest; 0 when nothing is parked.</summary>
    public long OldestParkedSeconds { get; init; }

    /// <summary>Deliveries that wait because of the policy <c>hold</c>, or because the limit of parked events is reached.</summary>
    public long Held { get; init; }

    /// <summary>Whether the limit of parked events is reached, so that events wait.</summary>
    public bool IsFull { get; init; }

    /// <summary>The open circuits: of the sink and of destinations within it; 20 at most.</summary>
    public IReadOnlyList<OpenCircuit> OpenCircuits { get; init; } = [];

    /// <summary>Events of the source that were passed to the sink since start, once for each attempt.</summary>
    public long Attempts { get; init; }

    /// <summary>Times from the apply of a change until the sink had answered for its events, without those that were parked; null when nothing counts them.</summary>
    public TimeCounts? Deliveries { get; init; }

    /// <summary>Who paused the sink, and since when; null when it is not paused.</summary>
    public SinkPause? Pause { get; init; }
}
