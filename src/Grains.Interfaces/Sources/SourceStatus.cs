using CdcOrleans.Model;
using CdcOrleans.Model.Changes;

namespace CdcOrleans.Grains.Interfaces.Sources;

/// <summary>What a WAL reader is doing.</summary>
public enum SourceState
{
    /// <summary>It checks and connects.</summary>
    Starting,

    /// <summary>It reads the log.</summary>
    Streaming,

    /// <summary>It waits, because the window is full: sinks or the control database are too slow.</summary>
    Holding,

    /// <summary>It failed for a reason that may pass, and tries again by itself.</summary>
    Retrying,

    /// <summary>It failed, and a person must act; see <see cref="SourceStatus.Detail"/>.</summary>
    Failed,

    /// <summary>It does not run.</summary>
    Stopped,
}

/// <summary>The status of a source.</summary>
[GenerateSerializer, Immutable, Alias("cdc.SourceStatus")]
public sealed record SourceStatus
{
    /// <summary>The source's name.</summary>
    [Id(0)] public required string Source { get; init; }

    /// <summary>What its reader is doing.</summary>
    [Id(1)] public required SourceState State { get; init; }

    /// <summary>The problem and its remedy; null when there is none.</summary>
    [Id(2)] public string? Detail { get; init; }

    /// <summary>Silo of the reader.</summary>
    [Id(3)] public required string Silo { get; init; }

    /// <summary>The reader's epoch; 0 before it has one.</summary>
    [Id(4)] public long Epoch { get; init; }

    /// <summary>Slot it reads.</summary>
    [Id(5)] public required string Slot { get; init; }

    /// <summary>End of the server's log, when last asked.</summary>
    [Id(6)] public Lsn ServerLsn { get; init; }

    /// <summary>Last position read.</summary>
    [Id(7)] public Lsn ReceivedLsn { get; init; }

    /// <summary>The confirmed position: everything up to it is durable. It is reported to the slot.</summary>
    [Id(8)] public Lsn ConfirmedLsn { get; init; }

    /// <summary>Bytes of log between the server's end and the confirmed position.</summary>
    [Id(9)] public long LagBytes { get; init; }

    /// <summary>Age of the oldest commit that is not yet durable, in seconds; 0 when there is none.</summary>
    [Id(10)] public double LagSeconds { get; init; }

    /// <summary>Bytes of log that the server keeps for the slot.</summary>
    [Id(11)] public long RetainedBytes { get; init; }

    /// <summary>Changes in the window: read, but not durable yet.</summary>
    [Id(12)] public long WindowChanges { get; init; }

    /// <summary>Limit of the window in changes.</summary>
    [Id(13)] public long WindowChangesLimit { get; init; }

    /// <summary>Bytes in the window.</summary>
    [Id(14)] public long WindowBytes { get; init; }

    /// <summary>Limit of the window in bytes.</summary>
    [Id(15)] public long WindowBytesLimit { get; init; }

    /// <summary>Changes read since the reader started.</summary>
    [Id(16)] public long Changes { get; init; }

    /// <summary>Transactions read since the reader started.</summary>
    [Id(17)] public long Transactions { get; init; }

    /// <summary>Changes read per second, over the last seconds.</summary>
    [Id(18)] public double ChangesPerSecond { get; init; }

    /// <summary>Heartbeats seen in the log since the reader started.</summary>
    [Id(19)] public long Heartbeats { get; init; }

    /// <summary>Number of partitions.</summary>
    [Id(20)] public int Partitions { get; init; }

    /// <summary>Counters of the silos that have partitions of the source, by silo.</summary>
    [Id(21)] public Dictionary<string, SiloFigures> Silos { get; init; } = [];

    /// <summary>Tables that match the configuration and are not captured, 100 at most: a sentence for each, with the reason and the remedy.</summary>
    [Id(22)] public string[] LeftOut { get; init; } = [];

    /// <summary>Times from commit until a change was read, of one change in each batch.</summary>
    [Id(23)] public TimeCounts? Reads { get; init; }

    /// <summary>Times from there until it was sent to its partition.</summary>
    [Id(24)] public TimeCounts? Dispatches { get; init; }
}
