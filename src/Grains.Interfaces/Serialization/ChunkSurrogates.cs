using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Changes;

namespace CdcOrleans.Grains.Interfaces.Serialization;

/// <summary>A <see cref="StoredChunk"/> between silos.</summary>
[GenerateSerializer, Immutable, Alias("cdc.StoredChunk")]
internal readonly struct StoredChunkSurrogate
{
    [Id(0)] public long Number { get; init; }

    [Id(1)] public string Snapshot { get; init; }

    [Id(2)] public Lsn Fence { get; init; }
}

/// <inheritdoc cref="StoredChunkSurrogate" />
[RegisterConverter]
internal sealed class StoredChunkConverter : IConverter<StoredChunk, StoredChunkSurrogate>
{
    /// <inheritdoc />
    public StoredChunk ConvertFromSurrogate(in StoredChunkSurrogate surrogate) =>
        new(surrogate.Number, new ChunkSnapshot(TransactionSnapshot.Parse(surrogate.Snapshot), surrogate.Fence));

    /// <inheritdoc />
    public StoredChunkSurrogate ConvertToSurrogate(in StoredChunk value) => new()
    {
        Number = value.Number, Snapshot = value.Snapshot.Snapshot.ToString(), Fence = value.Snapshot.Fence,
    };
}

/// <summary>A <see cref="BackfillHorizon"/> between silos.</summary>
[GenerateSerializer, Immutable, Alias("cdc.BackfillHorizon")]
internal readonly struct BackfillHorizonSurrogate
{
    [Id(0)] public Lsn Lsn { get; init; }

    [Id(1)] public ulong Xid { get; init; }
}

/// <inheritdoc cref="BackfillHorizonSurrogate" />
[RegisterConverter]
internal sealed class BackfillHorizonConverter : IConverter<BackfillHorizon, BackfillHorizonSurrogate>
{
    /// <inheritdoc />
    public BackfillHorizon ConvertFromSurrogate(in BackfillHorizonSurrogate surrogate) => new(surrogate.Lsn, surrogate.Xid);

    /// <inheritdoc />
    public BackfillHorizonSurrogate ConvertToSurrogate(in BackfillHorizon value) => new() { Lsn = value.Lsn, Xid = value.Xid };
}
