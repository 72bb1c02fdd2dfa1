namespace CdcOrleans.Gateway.Api;

/// <summary>The sinks of the cluster.</summary>
/// <param name="Sinks">The sinks, by name.</param>
public sealed record SinkList(IReadOnlyList<SinkDetail> Sinks);

/// <summary>A sink.</summary>
public sealed record SinkDetail
{
    /// <summary>Its name.</summary>
    public required string Name { get; init; }

    /// <summary>Its type, such as kafka; removed when it is not configured and something is stored for it.</summary>
    public required string Type { get; init; }

    /// <summary>Whether it accepts events of every source.</summary>
    public required bool Healthy { get; init; }

    /// <summary>Who paused it, and since when; null when it is not paused.</summary>
    public PausedSink? Paused { get; init; }

    /// <summary>The open circuits, of all sources.</summary>
    public required IReadOnlyList<SinkCircuit> Circuits { get; init; }

    /// <summary>What is parked for it, of all sources.</summary>
    public required ParkedOfSink Parked { get; init; }

    /// <summary>Its dead letters; null while the control database does not answer.</summary>
    public long? DeadLetters { get; init; }

    /// <summary>The routes that lead to it, each with its delivery policy as it is in force.</summary>
    public required IReadOnlyList<RouteOfSink> Routes { get; init; }

    /// <summary>How it is doing for each source; a source whose status cannot be read is left out.</summary>
    public required IReadOnlyList<SinkOfSource> Sources { get; init; }
}

/// <summary>A pause: nothing is passed to the sink.</summary>
/// <param name="By">Who paused it.</param>
/// <param name="Since">Since when.</param>
public sealed record PausedSink(string By, DateTimeOffset Since);

/// <summary>An open circuit: nothing passes but probes.</summary>
/// <param name="Source">The source whose events do not pass.</param>
/// <param name="Destination">The destination within the sink, such as a topic; * for the whole sink.</param>
/// <param name="Error">The last failure.</param>
public sealed record SinkCircuit(string Source, string Destination, string? Error);

/// <summary>What is parked for a sink.</summary>
/// <param name="Events">Number of events.</param>
/// <param name="Bytes">Their bytes.</param>
/// <param name="OldestSeconds">Time since the event that has waited longest was tried first; null when nothing is parked.</param>
public sealed record ParkedOfSink(long Events, long Bytes, long? OldestSeconds);

/// <summary>A route to a sink.</summary>
/// <param name="From">Its tables, as source.schema.table; * stands for any text.</param>
/// <param name="Format">The event format.</param>
/// <param name="Delivery">The delivery policy.</param>
public sealed record RouteOfSink(string From, string Format, DeliveryOfRoute Delivery);

/// <summary>How events are delivered that the sink does not accept at once; the options of <c>delivery</c>.</summary>
/// <param name="InlineSeconds">How long an event is tried in place before it is parked.</param>
/// <param name="Backoff">Times between attempts of a parked event.</param>
/// <param name="GiveUp">When an event becomes a dead letter; null: never.</param>
/// <param name="Poison">After a dead letter, later events of the entity go on (<c>continue</c>) or wait (<c>block</c>).</param>
/// <param name="Outage">While the sink is out of reach or paused, events are parked (<c>spill</c>) or wait (<c>hold</c>).</param>
/// <param name="SpillBytes">Limit of the parked events of the sink; the least of all routes counts.</param>
public sealed record DeliveryOfRoute(double InlineSeconds, BackoffOfRoute Backoff, GiveUpOfRoute? GiveUp, string Poison, string Outage, long SpillBytes);

/// <summary>Times between attempts.</summary>
/// <param name="FirstSeconds">The first one; the next ones are longer.</param>
/// <param name="MostSeconds">The longest one.</param>
public sealed record BackoffOfRoute(double FirstSeconds, double MostSeconds);

/// <summary>When an event becomes a dead letter: with whichever limit is reached first.</summary>
/// <param name="Attempts">Number of attempts; null for no limit.</param>
/// <param name="AgeSeconds">Time since the first attempt; null for no limit.</param>
public sealed record GiveUpOfRoute(int? Attempts, double? AgeSeconds);

/// <summary>How a sink is doing for one source, summed over silos.</summary>
/// <param name="Source">The source.</param>
/// <param name="Health">How it is doing.</param>
public sealed record SinkOfSource(string Source, SinkHealth Health);

/// <summary>Whether a sink's destination can be reached.</summary>
/// <param name="Sink">The sink.</param>
/// <param name="Ok">Whether nothing is wrong.</param>
/// <param name="Error">What is wrong, with the remedy where it is known; null when nothing is.</param>
/// <param name="Silo">The silo that tested it. Another one may have another network.</param>
/// <param name="Milliseconds">How long it took.</param>
public sealed record TestAnswer(string Sink, bool Ok, string? Error, string Silo, double Milliseconds);

/// <summary>Whether a sink is paused, after a request to pause or resume it.</summary>
/// <param name="Sink">The sink.</param>
/// <param name="Changed">Whether the request changed it; false when it was so already.</param>
/// <param name="Paused">Who paused it, and since when; null when it is not paused.</param>
public sealed record PauseAnswer(string Sink, bool Changed, PausedSink? Paused);
