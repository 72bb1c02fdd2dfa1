using CdcOrleans.Model.Changes;

namespace CdcOrleans.Grains.Interfaces.Serialization;

/// <summary>An <see cref="Lsn"/> between silos.</summary>
[GenerateSerializer, Immutable, Alias("cdc.Lsn")]
internal readonly struct LsnSurrogate
{
    [Id(0)] public ulong Value { get; init; }
}

/// <summary>A <see cref="ChangeVersion"/> between silos.</summary>
[GenerateSerializer, Immutable, Alias("cdc.ChangeVersion")]
internal readonly struct ChangeVersionSurrogate
{
    [Id(0)] public ulong CommitLsn { get; init; }

    [Id(1)] public long Ordinal { get; init; }
}

/// <inheritdoc cref="LsnSurrogate" />
[RegisterConverter]
internal sealed class LsnConverter : IConverter<Lsn, LsnSurrogate>
{
    /// <inheritdoc />
    public Lsn ConvertFromSurrogate(in LsnSurrogate surrogate) => new(surrogate.Value);

    /// <inheritdoc />
    public LsnSurrogate ConvertToSurrogate(in Lsn value) => new() { Value = value.Value };
}

/// <inheritdoc cref="ChangeVersionSurrogate" />
[RegisterConverter]
internal sealed class ChangeVersionConverter : IConverter<ChangeVersion, ChangeVersionSurrogate>
{
    /// <inheritdoc />
    public ChangeVersion ConvertFromSurrogate(in ChangeVersionSurrogate surrogate) => new(new Lsn(surrogate.CommitLsn), surrogate.Ordinal);

    /// <inheritdoc />
    public ChangeVersionSurrogate ConvertToSurrogate(in ChangeVersion value) => new() { CommitLsn = value.CommitLsn.Value, Ordinal = value.Ordinal };
}
