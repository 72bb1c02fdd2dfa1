using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Interfaces.Serialization;

/// <summary>A <see cref="JournalWindow"/> between silos.</summary>
[GenerateSerializer, Immutable, Alias("cdc.JournalWindow")]
internal readonly struct JournalWindowSurrogate
{
    [Id(0)] public DateTimeOffset? SinceTime { get; init; }

    [Id(1)] public DateTimeOffset? UntilTime { get; init; }

    [Id(2)] public Lsn? SinceLsn { get; init; }

    [Id(3)] public Lsn? UntilLsn { get; init; }
}

/// <inheritdoc cref="JournalWindowSurrogate" />
[RegisterConverter]
internal sealed class JournalWindowConverter : IConverter<JournalWindow, JournalWindowSurrogate>
{
    /// <inheritdoc />
    public JournalWindow ConvertFromSurrogate(in JournalWindowSurrogate surrogate) => new()
    {
        SinceTime = surrogate.SinceTime, UntilTime = surrogate.UntilTime, SinceLsn = surrogate.SinceLsn, UntilLsn = surrogate.UntilLsn,
    };

    /// <inheritdoc />
    public JournalWindowSurrogate ConvertToSurrogate(in JournalWindow value) => new()
    {
        SinceTime = value.SinceTime, UntilTime = value.UntilTime, SinceLsn = value.SinceLsn, UntilLsn = value.UntilLsn,
    };
}
