using CdcOrleans.Model;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Grains.Interfaces.Sources;

/// <summary>Reports to the reader what a checkpoint of a silo made durable, with the counters of the silo.</summary>
[GenerateSerializer, Immutable, Alias("cdc.ProgressReport")]
public sealed record ProgressReport
{
    /// <summary>Epoch of the reader that sent the changes.</summary>
    [Id(0)] public required long Epoch { get; init; }

    /// <summary>The silo, as text.</summary>
    [Id(1)] public required string Silo { get; init; }

    /// <summary>Durable progress of the partitions whose progress moved.</summary>
    [Id(2)] public required PartitionProgressReport[] Partitions { get; init; }

    /// <summary>The counters of the silo.</summary>
    [Id(3)] public required SiloFigures Figures { get; init; }
}

/// <summary>Durable progress of one partition.</summary>
[GenerateSerializer, Immutable, Alias("cdc.PartitionProgressReport")]
public readonly record struct PartitionProgressReport(
    [property: Id(0)] int Partition, [property: Id(1)] long Generation, [property: Id(2)] ChangeVersion Progress);

/// <summary>Counters of a silo for one source since the silo started.</summary>
[GenerateSerializer, Immutable, Alias("cdc.SiloFigures")]
public sealed record SiloFigures
{
    /// <summary>Changes that are finished: delivered to every route or dead-lettered.</summary>
    [Id(0)] public long Finished { get; init; }

    /// <summary>Changes that were skipped because they had been applied before.</summary>
    [Id(1)] public long Duplicates { get; init; }

    /// <summary>Events that became dead letters.</summary>
    [Id(2)] public long DeadLetters { get; init; }

    /// <summary>Entities that are awake now: those that have an activation.</summary>
    [Id(3)] public long AwakeEntities { get; init; }

    /// <summary>Bytes that awake entities, and states written lately, keep in memory; of all sources on the silo together.</summary>
    [Id(4)] public long EntityBytes { get; init; }

    /// <summary>States that were read from the store when an entity was used for the first time.</summary>
    [Id(5)] public long StateReads { get; init; }

    /// <summary>Checkpoints committed.</summary>
    [Id(6)] public long Checkpoints { get; init; }

    /// <summary>Entity states written by them.</summary>
    [Id(7)] public long StatesWritten { get; init; }

    /// <summary>Median time from the source's commit to the last sink's acknowledgement over the last seconds, in milliseconds.</summary>
    [Id(8)] public double LatencyP50 { get; init; }

    /// <summary>99th percentile of this time.</summary>
    [Id(9)] public double LatencyP99 { get; init; }

    /// <summary>Maximum of this time.</summary>
    [Id(10)] public double LatencyMax { get; init; }

    /// <summary>The silo's sinks.</summary>
    [Id(11)] public SinkStatus[] Sinks { get; init; } = [];

    /// <summary>Number of partitions on the silo.</summary>
    [Id(12)] public int Partitions { get; init; }

    /// <summary>Changes that no route selects. They are only counted.</summary>
    [Id(13)] public long Unrouted { get; init; }

    /// <summary>Error of the last checkpoint; null when it succeeded.</summary>
    [Id(14)] public string? CheckpointError { get; init; }

    /// <summary>Changes that made no event because their operation is skipped.</summary>
    [Id(15)] public long Skipped { get; init; }

    /// <summary>Times that an entity woke.</summary>
    [Id(16)] public long EntitiesWoken { get; init; }

    /// <summary>Times that an entity was put to sleep.</summary>
    [Id(17)] public long EntitiesPutToSleep { get; init; }

    /// <summary>Changes of sleeping entities that were applied in passing, without waking them.</summary>
    [Id(18)] public long AppliedInPassing { get; init; }

    /// <summary>Changes that an entity could not apply, and gave up on after a second try.</summary>
    [Id(19)] public long EntityFaults { get; init; }

    /// <summary>Entity and error of the last of them; null when there was none.</summary>
    [Id(20)] public string? LastEntityFault { get; init; }

    /// <summary>Memory that the source may use on the silo for changes in progress, in bytes.</summary>
    [Id(21)] public long MemoryLimit { get; init; }

    /// <summary>The part of it that is for changes in the window.</summary>
    [Id(22)] public long MemoryOfWindow { get; init; }

    /// <summary>Bytes reserved by applies in progress: stored rows, completed rows, and events; and rows of backfills that are not finished.</summary>
    [Id(23)] public long MemoryOfApplies { get; init; }

    /// <summary>Bytes of states and dead letters that are not durable yet.</summary>
    [Id(24)] public long MemoryOfUnsaved { get; init; }

    /// <summary>Applies, and reads of states, that wait for memory. All reads of a source wait as one.</summary>
    [Id(25)] public int WaitingForMemory { get; init; }

    /// <summary>States that were stored without their row, because it is too large.</summary>
    [Id(30)] public long RowsTooLarge { get; init; }

    /// <summary>Stored rows that could not be read when they were needed.</summary>
    [Id(31)] public long RowsUnreadable { get; init; }

    /// <summary>Entity and reason of the last of both; null when there was none.</summary>
    [Id(32)] public string? LastRowNotStored { get; init; }

    /// <summary>Times from the reader's call until a change was applied, of one change in each batch.</summary>
    [Id(33)] public TimeCounts? Applies { get; init; }
}
