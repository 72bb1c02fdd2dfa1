using CdcOrleans.Model;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Interfaces.Serialization;

/// <summary>A <see cref="SinkStatus"/> between silos and to the gateway.</summary>
[GenerateSerializer, Immutable, Alias("cdc.SinkStatus")]
internal readonly struct SinkStatusSurrogate
{
    [Id(0)] public string Name { get; init; }

    [Id(1)] public string Type { get; init; }

    [Id(2)] public bool Healthy { get; init; }

    [Id(3)] public string? LastError { get; init; }

    [Id(4)] public long Delivered { get; init; }

    [Id(5)] public long Refused { get; init; }

    [Id(6)] public long Waiting { get; init; }

    [Id(7)] public long Failed { get; init; }

    [Id(8)] public long Parked { get; init; }

    [Id(9)] public long ParkedBytes { get; init; }

    [Id(10)] public long Held { get; init; }

    [Id(11)] public bool IsFull { get; init; }

    [Id(13)] public long OldestParkedSeconds { get; init; }

    [Id(14)] public string[]? CircuitDestinations { get; init; }

    [Id(15)] public string?[]? CircuitErrors { get; init; }

    [Id(16)] public string? PausedBy { get; init; }

    [Id(17)] public DateTimeOffset PausedSince { get; init; }

    [Id(18)] public long Attempts { get; init; }

    [Id(19)] public TimeCounts? Deliveries { get; init; }
}

/// <inheritdoc cref="SinkStatusSurrogate" />
[RegisterConverter]
internal sealed class SinkStatusConverter : IConverter<SinkStatus, SinkStatusSurrogate>
{
    /// <inheritdoc />
    public SinkStatus ConvertFromSurrogate(in SinkStatusSurrogate surrogate) => new()
    {
        Name = surrogate.Name,
        Type = surrogate.Type,
        Healthy = surrogate.Healthy,
        LastError = surrogate.LastError,
        Delivered = surrogate.Delivered,
        Refused = surrogate.Refused,
        Waiting = surrogate.Waiting,
        Failed = surrogate.Failed,
        Parked = surrogate.Parked,
        ParkedBytes = surrogate.ParkedBytes,
        Held = surrogate.Held,
        IsFull = surrogate.IsFull,
        OldestParkedSeconds = surrogate.OldestParkedSeconds,
        OpenCircuits = [.. (surrogate.CircuitDestinations ?? []).Zip(surrogate.CircuitErrors ?? [], (destination, error) => new OpenCircuit(destination, error))],
        Attempts = surrogate.Attempts,
        Deliveries = surrogate.Deliveries,
        Pause = surrogate.PausedBy is { } who ? new SinkPause(surrogate.Name, who, surrogate.PausedSince) : null,
    };

    /// <inheritdoc />
    public SinkStatusSurrogate ConvertToSurrogate(in SinkStatus value) => new()
    {
        Name = value.Name,
        Type = value.Type,
        Healthy = value.Healthy,
        LastError = value.LastError,
        Delivered = value.Delivered,
        Refused = value.Refused,
        Waiting = value.Waiting,
        Failed = value.Failed,
        Parked = value.Parked,
        ParkedBytes = value.ParkedBytes,
        Held = value.Held,
        IsFull = value.IsFull,
        OldestParkedSeconds = value.OldestParkedSeconds,
        CircuitDestinations = [.. value.OpenCircuits.Select(c => c.Destination)],
        CircuitErrors = [.. value.OpenCircuits.Select(c => c.Error)],
        Attempts = value.Attempts,
        Deliveries = value.Deliveries,
        PausedBy = value.Pause?.Who,
        PausedSince = value.Pause?.Since ?? default,
    };
}
