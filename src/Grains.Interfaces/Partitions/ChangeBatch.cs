using CdcOrleans.Model.Changes;

namespace CdcOrleans.Grains.Interfaces.Partitions;

/// <summary>Changes of one partition, in commit order, as the WAL reader sends them.</summary>
[GenerateSerializer, Immutable, Alias("cdc.ChangeBatch")]
public sealed class ChangeBatch
{
    /// <summary>Epoch of the reader that sends the batch.</summary>
    [Id(0)] public required long Epoch { get; init; }

    /// <summary>Sequence number of the batch, from 1 without gaps since the reader opened the partition.</summary>
    [Id(1)] public required long Sequence { get; init; }

    /// <summary>The changes; at least one.</summary>
    [Id(2)] public required RowChange[] Changes { get; init; }

    /// <summary>Generation of the activation that the reader opened (<see cref="PartitionOpened.Generation"/>).</summary>
    [Id(3)] public required long Generation { get; init; }

    /// <summary>When it was sent, in microseconds since 1970; 0 when nobody measures.</summary>
    [Id(4)] public long SentMicros { get; init; }
}
