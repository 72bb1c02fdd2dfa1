using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Grains.Interfaces.Operations;

/// <summary>A sink as the silos are configured, and what is stored for it.</summary>
[GenerateSerializer, Immutable, Alias("cdc.SinkView")]
public sealed record SinkView
{
    /// <summary>Its name.</summary>
    [Id(0)] public required string Name { get; init; }

    /// <summary>Its type; <c>removed</c> when it is not configured, and something is stored for it or it is paused.</summary>
    [Id(1)] public required string Type { get; init; }

    /// <summary>The routes that lead to it.</summary>
    [Id(2)] public required SinkRoute[] Routes { get; init; }

    /// <summary>Who paused it; null when it is not paused.</summary>
    [Id(3)] public string? PausedBy { get; init; }

    /// <summary>Since when it is paused.</summary>
    [Id(4)] public DateTimeOffset PausedSince { get; init; }

    /// <summary>What is stored for it, by source and table; null while the control database does not answer.</summary>
    [Id(5)] public SinkStored[]? Stored { get; init; }
}

/// <summary>A route to a sink, with its delivery policy as it is in force.</summary>
[GenerateSerializer, Immutable, Alias("cdc.SinkRoute")]
public sealed record SinkRoute
{
    /// <summary><c>source.schema.table</c>; <c>*</c> stands for any text.</summary>
    [Id(0)] public required string From { get; init; }

    /// <summary>Name of the event format.</summary>
    [Id(1)] public required string Format { get; init; }

    /// <inheritdoc cref="DeliveryPolicy.Inline" />
    [Id(2)] public required TimeSpan Inline { get; init; }

    /// <summary>The first wait of a parked event.</summary>
    [Id(3)] public required TimeSpan BackoffFirst { get; init; }

    /// <summary>The longest wait of a parked event.</summary>
    [Id(4)] public required TimeSpan BackoffMost { get; init; }

    /// <inheritdoc cref="DeliveryPolicy.GiveUpAttempts" />
    [Id(5)] public int? GiveUpAttempts { get; init; }

    /// <inheritdoc cref="DeliveryPolicy.GiveUpAge" />
    [Id(6)] public TimeSpan? GiveUpAge { get; init; }

    /// <summary>Whether later events of an entity wait for the decision about its dead letter.</summary>
    [Id(7)] public required bool Blocks { get; init; }

    /// <summary>Whether events wait in memory while the sink is out of reach, instead of being parked.</summary>
    [Id(8)] public required bool Holds { get; init; }

    /// <summary>Limit of the parked events of the sink in bytes: the least of all routes to it.</summary>
    [Id(9)] public required long SpillBytes { get; init; }
}

/// <summary>What is stored of one table for a sink.</summary>
/// <param name="Source">The source.</param>
/// <param name="Table"><c>schema.table</c>.</param>
/// <param name="DeadLetters">Number of dead letters.</param>
/// <param name="Parked">Number of parked events.</param>
/// <param name="ParkedBytes">Bytes of the parked events.</param>
/// <param name="OldestParkedAt">When the parked event that has waited longest was tried first; null when nothing is parked.</param>
[GenerateSerializer, Immutable, Alias("cdc.SinkStored")]
public sealed record SinkStored(
    [property: Id(0)] string Source, [property: Id(1)] string Table, [property: Id(2)] long DeadLetters, [property: Id(3)] long Parked,
    [property: Id(4)] long ParkedBytes, [property: Id(5)] DateTimeOffset? OldestParkedAt);

/// <summary>What came of the test of a sink.</summary>
/// <param name="IsKnown">Whether there is such a sink.</param>
/// <param name="Error">What is wrong; null when nothing is.</param>
/// <param name="Silo">The silo that tested it.</param>
/// <param name="Took">How long it took.</param>
[GenerateSerializer, Immutable, Alias("cdc.SinkTesting")]
public sealed record SinkTesting(
    [property: Id(0)] bool IsKnown, [property: Id(1)] string? Error = null, [property: Id(2)] string Silo = "", [property: Id(3)] TimeSpan Took = default);

/// <summary>What came of the request to pause or resume a sink.</summary>
/// <param name="IsKnown">Whether there is such a sink.</param>
/// <param name="IsChanged">Whether it was changed; false when it was so already.</param>
/// <param name="PausedBy">Who paused it; null when it is not paused now.</param>
/// <param name="PausedSince">Since when it is paused.</param>
[GenerateSerializer, Immutable, Alias("cdc.SinkPausing")]
public sealed record SinkPausing(
    [property: Id(0)] bool IsKnown, [property: Id(1)] bool IsChanged = false, [property: Id(2)] string? PausedBy = null, [property: Id(3)] DateTimeOffset PausedSince = default);
