namespace CdcOrleans.Model.Sinks;

/// <summary>What a failure of one event says about the other events of its sink.</summary>
public enum FailureScope : byte
{
    /// <summary>Nothing: the failure may be of this event alone.</summary>
    Event,

    /// <summary>
    /// Events for the same destination fail too: a topic, a file, an address. <see cref="DeliveryFailure.Destination"/> names it.
    /// </summary>
    Destination,

    /// <summary>Every event fails: the sink is out of reach.</summary>
    Sink,
}

/// <summary>Why a sink did not deliver an event, and whether it may succeed later. Immutable.</summary>
public sealed record DeliveryFailure
{
    private DeliveryFailure(string error) => Error = error;

    /// <summary>The error and its remedy, in words for people. It has no row data and no secrets.</summary>
    public string Error { get; }

    /// <summary>
    /// Whether the event is refused for good: the same event never succeeds. What a person can mend is not final: a topic that is missing,
    /// a right that was revoked, a disk that is full.
    /// </summary>
    public bool IsFinal { get; private init; }

    /// <summary>Which events the failure concerns.</summary>
    public FailureScope Scope { get; private init; }

    /// <summary>The destination that fails; null unless the scope is <see cref="FailureScope.Destination"/>.</summary>
    public string? Destination { get; private init; }

    /// <summary>The time after which the destination asked to be tried again; null when it did not say.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>The event is refused for good.</summary>
    public static DeliveryFailure Refused(string error) => new(error) { IsFinal = true };

    /// <summary>The event failed for now.</summary>
    public static DeliveryFailure OfEvent(string error) => new(error);

    /// <summary>The event failed for now, and so does every event for its destination.</summary>
    public static DeliveryFailure OfDestination(string destination, string error) => new(error) { Scope = FailureScope.Destination, Destination = destination };

    /// <summary>The event failed for now, and so does every event of the sink.</summary>
    public static DeliveryFailure OfSink(string error) => new(error) { Scope = FailureScope.Sink };
}
