using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Interfaces.Serialization;

/// <summary>A <see cref="ParkedSummary"/> between silos and to the gateway.</summary>
[GenerateSerializer, Immutable, Alias("cdc.ParkedSummary")]
internal readonly struct ParkedSummarySurrogate
{
    [Id(0)] public long Id { get; init; }

    [Id(1)] public string Source { get; init; }

    [Id(2)] public string Sink { get; init; }

    [Id(3)] public EntityKey Entity { get; init; }

    [Id(4)] public int Events { get; init; }

    [Id(5)] public long Bytes { get; init; }

    [Id(6)] public int Attempts { get; init; }

    [Id(7)] public DateTimeOffset FirstTriedAt { get; init; }

    [Id(8)] public DateTimeOffset DueAt { get; init; }

    [Id(9)] public string? LastError { get; init; }

    [Id(10)] public bool IsBlocked { get; init; }
}

/// <inheritdoc cref="ParkedSummarySurrogate" />
[RegisterConverter]
internal sealed class ParkedSummaryConverter : IConverter<ParkedSummary, ParkedSummarySurrogate>
{
    /// <inheritdoc />
    public ParkedSummary ConvertFromSurrogate(in ParkedSummarySurrogate surrogate) => new()
    {
        Id = surrogate.Id,
        Source = surrogate.Source,
        Sink = surrogate.Sink,
        Entity = surrogate.Entity,
        Events = surrogate.Events,
        Bytes = surrogate.Bytes,
        Attempts = surrogate.Attempts,
        FirstTriedAt = surrogate.FirstTriedAt,
        DueAt = surrogate.DueAt,
        LastError = surrogate.LastError,
        IsBlocked = surrogate.IsBlocked,
    };

    /// <inheritdoc />
    public ParkedSummarySurrogate ConvertToSurrogate(in ParkedSummary value) => new()
    {
        Id = value.Id,
        Source = value.Source,
        Sink = value.Sink,
        Entity = value.Entity,
        Events = value.Events,
        Bytes = value.Bytes,
        Attempts = value.Attempts,
        FirstTriedAt = value.FirstTriedAt,
        DueAt = value.DueAt,
        LastError = value.LastError,
        IsBlocked = value.IsBlocked,
    };
}

/// <summary>An <see cref="AuditEntry"/> between silos and to the gateway.</summary>
[GenerateSerializer, Immutable, Alias("cdc.AuditEntry")]
internal readonly struct AuditEntrySurrogate
{
    [Id(0)] public long Id { get; init; }

    [Id(1)] public DateTimeOffset At { get; init; }

    [Id(2)] public string Who { get; init; }

    [Id(3)] public string Operation { get; init; }

    [Id(4)] public string Arguments { get; init; }

    [Id(5)] public string Result { get; init; }
}

/// <inheritdoc cref="AuditEntrySurrogate" />
[RegisterConverter]
internal sealed class AuditEntryConverter : IConverter<AuditEntry, AuditEntrySurrogate>
{
    /// <inheritdoc />
    public AuditEntry ConvertFromSurrogate(in AuditEntrySurrogate surrogate) =>
        new(surrogate.Id, surrogate.At, surrogate.Who, surrogate.Operation, surrogate.Arguments, surrogate.Result);

    /// <inheritdoc />
    public AuditEntrySurrogate ConvertToSurrogate(in AuditEntry value) => new()
    {
        Id = value.Id, At = value.At, Who = value.Who, Operation = value.Operation, Arguments = value.Arguments, Result = value.Result,
    };
}
