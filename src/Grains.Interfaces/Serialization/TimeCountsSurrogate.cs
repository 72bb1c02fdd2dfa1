using CdcOrleans.Model;

namespace CdcOrleans.Grains.Interfaces.Serialization;

/// <summary>A <see cref="TimeCounts"/> between silos and to the gateway.</summary>
[GenerateSerializer, Immutable, Alias("cdc.TimeCounts")]
internal readonly struct TimeCountsSurrogate
{
    [Id(0)] public long[] Counts { get; init; }

    [Id(1)] public double SumSeconds { get; init; }
}

/// <inheritdoc cref="TimeCountsSurrogate" />
[RegisterConverter]
internal sealed class TimeCountsConverter : IConverter<TimeCounts, TimeCountsSurrogate>
{
    /// <inheritdoc />
    public TimeCounts ConvertFromSurrogate(in TimeCountsSurrogate surrogate) => new(surrogate.Counts, surrogate.SumSeconds);

    /// <inheritdoc />
    public TimeCountsSurrogate ConvertToSurrogate(in TimeCounts value) => new() { Counts = [.. value.Counts], SumSeconds = value.SumSeconds };
}
