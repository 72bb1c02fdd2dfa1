using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Interfaces.Serialization;

/// <summary>A <see cref="LetterFilter"/> between silos and to the gateway.</summary>
[GenerateSerializer, Immutable, Alias("cdc.LetterFilter")]
internal readonly struct LetterFilterSurrogate
{
    [Id(0)] public string? Source { get; init; }

    [Id(1)] public string? Sink { get; init; }

    [Id(2)] public string? Table { get; init; }

    [Id(3)] public string? Key { get; init; }

    [Id(4)] public string? Fingerprint { get; init; }
}

/// <inheritdoc cref="LetterFilterSurrogate" />
[RegisterConverter]
internal sealed class LetterFilterConverter : IConverter<LetterFilter, LetterFilterSurrogate>
{
    /// <inheritdoc />
    public LetterFilter ConvertFromSurrogate(in LetterFilterSurrogate surrogate) => new()
    {
        Source = surrogate.Source, Sink = surrogate.Sink, Table = surrogate.Table, Key = surrogate.Key, Fingerprint = surrogate.Fingerprint,
    };

    /// <inheritdoc />
    public LetterFilterSurrogate ConvertToSurrogate(in LetterFilter value) => new()
    {
        Source = value.Source, Sink = value.Sink, Table = value.Table, Key = value.Key, Fingerprint = value.Fingerprint,
    };
}

/// <summary>A <see cref="LetterSummary"/> between silos and to the gateway.</summary>
[GenerateSerializer, Immutable, Alias("cdc.LetterSummary")]
internal readonly struct LetterSummarySurrogate
{
    [Id(0)] public long Id { get; init; }

    [Id(1)] public string Source { get; init; }

    [Id(2)] public string Sink { get; init; }

    [Id(3)] public EntityKey Entity { get; init; }

    [Id(4)] public ChangeVersion Version { get; init; }

    [Id(5)] public int Part { get; init; }

    [Id(6)] public string Topic { get; init; }

    [Id(7)] public bool HasEvent { get; init; }

    [Id(8)] public int SchemaVersion { get; init; }

    [Id(9)] public byte Origin { get; init; }

    [Id(10)] public int Attempts { get; init; }

    [Id(11)] public DateTimeOffset FirstFailedAt { get; init; }

    [Id(12)] public DateTimeOffset LastFailedAt { get; init; }

    [Id(13)] public string Error { get; init; }

    [Id(14)] public string Fingerprint { get; init; }

    [Id(15)] public long Bytes { get; init; }

    [Id(16)] public bool IsRedelivering { get; init; }
}

/// <inheritdoc cref="LetterSummarySurrogate" />
[RegisterConverter]
internal sealed class LetterSummaryConverter : IConverter<LetterSummary, LetterSummarySurrogate>
{
    /// <inheritdoc />
    public LetterSummary ConvertFromSurrogate(in LetterSummarySurrogate surrogate) => new()
    {
        Id = surrogate.Id,
        Source = surrogate.Source,
        Sink = surrogate.Sink,
        Entity = surrogate.Entity,
        Version = surrogate.Version,
        Part = surrogate.Part,
        Topic = surrogate.Topic,
        HasEvent = surrogate.HasEvent,
        SchemaVersion = surrogate.SchemaVersion,
        Origin = (EventOrigin)surrogate.Origin,
        Attempts = surrogate.Attempts,
        FirstFailedAt = surrogate.FirstFailedAt,
        LastFailedAt = surrogate.LastFailedAt,
        Error = surrogate.Error,
        Fingerprint = surrogate.Fingerprint,
        Bytes = surrogate.Bytes,
        IsRedelivering = surrogate.IsRedelivering,
    };

    /// <inheritdoc />
    public LetterSummarySurrogate ConvertToSurrogate(in LetterSummary value) => new()
    {
        Id = value.Id,
        Source = value.Source,
        Sink = value.Sink,
        Entity = value.Entity,
        Version = value.Version,
        Part = value.Part,
        Topic = value.Topic,
        HasEvent = value.HasEvent,
        SchemaVersion = value.SchemaVersion,
        Origin = (byte)value.Origin,
        Attempts = value.Attempts,
        FirstFailedAt = value.FirstFailedAt,
        LastFailedAt = value.LastFailedAt,
        Error = value.Error,
        Fingerprint = value.Fingerprint,
        Bytes = value.Bytes,
        IsRedelivering = value.IsRedelivering,
    };
}

/// <summary>A <see cref="StoredLetter"/> between silos and to the gateway.</summary>
[GenerateSerializer, Immutable, Alias("cdc.StoredLetter")]
internal readonly struct StoredLetterSurrogate
{
    [Id(0)] public LetterSummary Summary { get; init; }

    [Id(1)] public byte[]? Key { get; init; }

    [Id(2)] public byte[]? Value { get; init; }

    [Id(3)] public KeyValuePair<string, byte[]>[]? Headers { get; init; }
}

/// <inheritdoc cref="StoredLetterSurrogate" />
[RegisterConverter]
internal sealed class StoredLetterConverter : IConverter<StoredLetter, StoredLetterSurrogate>
{
    /// <inheritdoc />
    public StoredLetter ConvertFromSurrogate(in StoredLetterSurrogate surrogate) => new(surrogate.Summary, surrogate.Key, surrogate.Value, surrogate.Headers);

    /// <inheritdoc />
    public StoredLetterSurrogate ConvertToSurrogate(in StoredLetter value) => new()
    {
        Summary = value.Summary, Key = value.Key, Value = value.Value, Headers = value.Headers?.ToArray(),
    };
}

/// <summary>A <see cref="LetterGroup"/> between silos and to the gateway.</summary>
[GenerateSerializer, Immutable, Alias("cdc.LetterGroup")]
internal readonly struct LetterGroupSurrogate
{
    [Id(0)] public string Fingerprint { get; init; }

    [Id(1)] public string Source { get; init; }

    [Id(2)] public string Sink { get; init; }

    [Id(3)] public string Table { get; init; }

    [Id(4)] public string Error { get; init; }

    [Id(5)] public long Count { get; init; }

    [Id(6)] public DateTimeOffset FirstFailedAt { get; init; }

    [Id(7)] public DateTimeOffset LastFailedAt { get; init; }
}

/// <inheritdoc cref="LetterGroupSurrogate" />
[RegisterConverter]
internal sealed class LetterGroupConverter : IConverter<LetterGroup, LetterGroupSurrogate>
{
    /// <inheritdoc />
    public LetterGroup ConvertFromSurrogate(in LetterGroupSurrogate surrogate) => new()
    {
        Fingerprint = surrogate.Fingerprint,
        Source = surrogate.Source,
        Sink = surrogate.Sink,
        Table = surrogate.Table,
        Error = surrogate.Error,
        Count = surrogate.Count,
        FirstFailedAt = surrogate.FirstFailedAt,
        LastFailedAt = surrogate.LastFailedAt,
    };

    /// <inheritdoc />
    public LetterGroupSurrogate ConvertToSurrogate(in LetterGroup value) => new()
    {
        Fingerprint = value.Fingerprint,
        Source = value.Source,
        Sink = value.Sink,
        Table = value.Table,
        Error = value.Error,
        Count = value.Count,
        FirstFailedAt = value.FirstFailedAt,
        LastFailedAt = value.LastFailedAt,
    };
}
