using CdcOrleans.Model.Sinks;

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
    };
}
