using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using Orleans.Serialization.Cloning;

namespace CdcOrleans.Grains.Interfaces.Serialization;

/// <summary>A <see cref="RowChange"/> between silos.</summary>
[GenerateSerializer, Immutable, Alias("cdc.RowChange")]
internal readonly struct RowChangeSurrogate
{
    [Id(0)] public ChangeOperation Operation { get; init; }

    [Id(1)] public TableSchema Table { get; init; }

    [Id(2)] public EntityKey Entity { get; init; }

    [Id(3)] public ChangeVersion Version { get; init; }

    [Id(4)] public Lsn Lsn { get; init; }

    [Id(5)] public SourceTransaction Transaction { get; init; }

    [Id(6)] public RowImage Before { get; init; }

    [Id(7)] public bool BeforeIsKeyOnly { get; init; }

    [Id(8)] public RowImage After { get; init; }

    [Id(9)] public RowImage OtherRow { get; init; }

    [Id(10)] public int TotalOrder { get; init; }

    [Id(11)] public int TableOrder { get; init; }

    [Id(12)] public bool HasOmitted { get; init; }
}

/// <inheritdoc cref="RowChangeSurrogate" />
[RegisterConverter]
internal sealed class RowChangeConverter : IConverter<RowChange, RowChangeSurrogate>
{
    /// <inheritdoc />
    public RowChange ConvertFromSurrogate(in RowChangeSurrogate surrogate) => new()
    {
        Operation = surrogate.Operation,
        Table = surrogate.Table,
        Entity = surrogate.Entity,
        Version = surrogate.Version,
        Lsn = surrogate.Lsn,
        Transaction = surrogate.Transaction,
        Before = surrogate.Before,
        BeforeIsKeyOnly = surrogate.BeforeIsKeyOnly,
        After = surrogate.After,
        OtherRow = surrogate.OtherRow,
        TotalOrder = surrogate.TotalOrder,
        TableOrder = surrogate.TableOrder,
        HasOmitted = surrogate.HasOmitted,
    };

    /// <inheritdoc />
    public RowChangeSurrogate ConvertToSurrogate(in RowChange value) => new()
    {
        Operation = value.Operation,
        Table = value.Table,
        Entity = value.Entity,
        Version = value.Version,
        Lsn = value.Lsn,
        Transaction = value.Transaction,
        Before = value.Before,
        BeforeIsKeyOnly = value.BeforeIsKeyOnly,
        After = value.After,
        OtherRow = value.OtherRow,
        TotalOrder = value.TotalOrder,
        TableOrder = value.TableOrder,
        HasOmitted = value.HasOmitted,
    };
}

/// <summary>A change is immutable, so it is not copied within a silo.</summary>
[RegisterCopier]
internal sealed class RowChangeCopier : ShallowCopier<RowChange>;

/// <summary>A <see cref="RowImage"/> between silos.</summary>
[GenerateSerializer, Immutable, Alias("cdc.RowImage")]
internal readonly struct RowImageSurrogate
{
    [Id(0)] public byte[]? Tuple { get; init; }
}

/// <inheritdoc cref="RowImageSurrogate" />
[RegisterConverter]
internal sealed class RowImageConverter : IConverter<RowImage, RowImageSurrogate>
{
    /// <inheritdoc />
    public RowImage ConvertFromSurrogate(in RowImageSurrogate surrogate) => surrogate.Tuple is { } tuple ? new RowImage(tuple) : default;

    /// <inheritdoc />
    public RowImageSurrogate ConvertToSurrogate(in RowImage value) => new() { Tuple = value.ToStorage() };
}

/// <summary>An image is immutable, so its bytes are shared.</summary>
[RegisterCopier]
internal sealed class RowImageCopier : ShallowCopier<RowImage>;

/// <summary>A <see cref="SourceTransaction"/> between silos. A message contains it once for all its changes.</summary>
[GenerateSerializer, Immutable, Alias("cdc.SourceTransaction")]
internal readonly struct SourceTransactionSurrogate
{
    [Id(0)] public Lsn CommitLsn { get; init; }

    [Id(1)] public Lsn PreviousCommitEnd { get; init; }

    [Id(2)] public uint Xid { get; init; }

    [Id(3)] public long CommitMicros { get; init; }

    [Id(4)] public string? Origin { get; init; }

    [Id(5)] public Lsn OriginLsn { get; init; }
}

/// <inheritdoc cref="SourceTransactionSurrogate" />
[RegisterConverter]
internal sealed class SourceTransactionConverter : IConverter<SourceTransaction, SourceTransactionSurrogate>
{
    /// <inheritdoc />
    public SourceTransaction ConvertFromSurrogate(in SourceTransactionSurrogate surrogate) => new()
    {
        CommitLsn = surrogate.CommitLsn,
        PreviousCommitEnd = surrogate.PreviousCommitEnd,
        Xid = surrogate.Xid,
        CommitMicros = surrogate.CommitMicros,
        Origin = surrogate.Origin,
        OriginLsn = surrogate.OriginLsn,
    };

    /// <inheritdoc />
    public SourceTransactionSurrogate ConvertToSurrogate(in SourceTransaction value) => new()
    {
        CommitLsn = value.CommitLsn,
        PreviousCommitEnd = value.PreviousCommitEnd,
        Xid = value.Xid,
        CommitMicros = value.CommitMicros,
        Origin = value.Origin,
        OriginLsn = value.OriginLsn,
    };
}
