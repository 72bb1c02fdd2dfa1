using System.Text.Json;
using System.Text.Json.Serialization;

namespace CdcOrleans.Gateway.Api;

/// <summary>How the pipeline as a whole is doing.</summary>
public enum PipelineState
{
    /// <summary>Every source is streaming, and every sink accepts events.</summary>
    [JsonStringEnumMemberName("running")] Running,

    /// <summary>A source is starting, holding or retrying, a sink is out of reach, or a checkpoint failed.</summary>
    [JsonStringEnumMemberName("degraded")] Degraded,

    /// <summary>A source has failed, is stopped, or its status cannot be read.</summary>
    [JsonStringEnumMemberName("failed")] Failed,
}

/// <summary>What a source is doing.</summary>
public enum ReportedState
{
    /// <summary>Its status cannot be read.</summary>
    [JsonStringEnumMemberName("unknown")] Unknown,

    /// <summary>Checking and connecting.</summary>
    [JsonStringEnumMemberName("starting")] Starting,

    /// <summary>Reading the log.</summary>
    [JsonStringEnumMemberName("streaming")] Streaming,

    /// <summary>Waiting, because the window is full: sinks or the control database are too slow.</summary>
    [JsonStringEnumMemberName("holding")] Holding,

    /// <summary>It failed for a reason that may pass, and tries again by itself.</summary>
    [JsonStringEnumMemberName("retrying")] Retrying,

    /// <summary>It failed, and a person must act; see the detail.</summary>
    [JsonStringEnumMemberName("failed")] Failed,

    /// <summary>Not running.</summary>
    [JsonStringEnumMemberName("stopped")] Stopped,
}

/// <summary>The state of the pipeline.</summary>
/// <param name="Cluster">The cluster's id.</param>
/// <param name="Product">The product's name.</param>
/// <param name="Version">The gateway's version.</param>
/// <param name="State">How the pipeline as a whole is doing.</param>
/// <param name="Sources">The sources, by name.</param>
public sealed record PipelineStatus(string Cluster, string Product, string Version, PipelineState State, IReadOnlyList<SourceSummary> Sources);

/// <summary>The state of a source.</summary>
/// <param name="Name">The source's name.</param>
/// <param name="State">What it is doing.</param>
/// <param name="Detail">The problem and its remedy; null when there is none.</param>
/// <param name="Lag">How far the confirmed position is behind the database; null when the status cannot be read.</param>
/// <param name="ChangesPerSecond">Changes read per second, over the last seconds.</param>
/// <param name="Latency">Time from commit to the last sink's acknowledgement, over the last seconds.</param>
/// <param name="Sinks">The source's sinks, summed over silos.</param>
public sealed record SourceSummary(
    string Name, ReportedState State, string? Detail, Lag? Lag, double? ChangesPerSecond, Latency? Latency, IReadOnlyList<SinkHealth> Sinks);

/// <summary>How far the confirmed position is behind the database.</summary>
/// <param name="Bytes">Bytes of log between the server's end and the confirmed position.</param>
/// <param name="Seconds">Age of the oldest commit that is not yet durable; 0 when there is none.</param>
public sealed record Lag(long Bytes, double? Seconds);

/// <summary>Time from the source's commit to the last sink's acknowledgement, in milliseconds; null while no changes arrive.</summary>
/// <param name="P50">Median.</param>
/// <param name="P99">99th percentile.</param>
/// <param name="Max">Maximum.</param>
public sealed record Latency(double? P50, double? P99, double? Max);

/// <summary>A sink's health for one source.</summary>
/// <param name="Name">The sink's name.</param>
/// <param name="Type">Its type, such as kafka.</param>
/// <param name="Healthy">Whether the destination accepts events.</param>
/// <param name="LastError">Message of the last failure; null when there was none.</param>
/// <param name="Delivered">Events delivered since the silo's start.</param>
/// <param name="Refused">Events refused for good since the silo's start.</param>
/// <param name="Waiting">Events that were handed to the sink and are not completed yet.</param>
/// <param name="Failed">Events that failed for now since the silo's start, counted once for each attempt.</param>
/// <param name="Parked">Parked events: stored in the control database, and tried again later.</param>
/// <param name="ParkedBytes">Bytes of the parked events.</param>
/// <param name="Held">Deliveries that wait because of the policy hold, or because the limit of parked events is reached.</param>
/// <param name="IsFull">Whether the limit of parked events is reached, so that events wait.</param>
/// <param name="OpenCircuits">The open circuits: of the sink (*) and of destinations within it, each with the error.</param>
/// <param name="Paused">Who paused the sink, and since when; null when it is not paused.</param>
public sealed record SinkHealth(
    string Name, string Type, bool Healthy, string? LastError, long Delivered, long Refused, long Waiting, long Failed, long Parked, long ParkedBytes,
    long Held, bool IsFull, IReadOnlyList<string> OpenCircuits, PausedSink? Paused);

/// <summary>The sources of the cluster.</summary>
/// <param name="Sources">The sources, by name.</param>
public sealed record SourceList(IReadOnlyList<SourceDetail> Sources);

/// <summary>All details of a source.</summary>
public sealed record SourceDetail
{
    /// <summary>The source's name.</summary>
    public required string Name { get; init; }

    /// <summary>What it is doing.</summary>
    public required ReportedState State { get; init; }

    /// <summary>The problem and its remedy; null when there is none.</summary>
    public string? Detail { get; init; }

    /// <summary>The replication slot it reads.</summary>
    public required string Slot { get; init; }

    /// <summary>The publication that it uses.</summary>
    public required string Publication { get; init; }

    /// <summary>What the reader reports; null when it cannot be asked.</summary>
    public ReaderDetail? Reader { get; init; }

    /// <summary>Tables that match the configuration and are not captured, 100 at most: a sentence for each, with the reason and the remedy.</summary>
    public IReadOnlyList<string> LeftOut { get; init; } = [];

    /// <summary>The source's sinks, summed over silos.</summary>
    public IReadOnlyList<SinkHealth> Sinks { get; init; } = [];

    /// <summary>Counters of the silos that have partitions of the source.</summary>
    public IReadOnlyList<SiloDetail> Silos { get; init; } = [];
}

/// <summary>The counters and positions of a source's reader.</summary>
public sealed record ReaderDetail
{
    /// <summary>The silo it runs on.</summary>
    public required string Silo { get; init; }

    /// <summary>Its epoch; 0 before it has one.</summary>
    public required long Epoch { get; init; }

    /// <summary>Positions in the log.</summary>
    public required Positions Positions { get; init; }

    /// <summary>How far the confirmed position is behind the database.</summary>
    public required Lag Lag { get; init; }

    /// <summary>Bytes of log that the server keeps for the slot.</summary>
    public required long RetainedBytes { get; init; }

    /// <summary>The window: changes that were read and are not yet durable.</summary>
    public required Window Window { get; init; }

    /// <summary>Changes read since the reader started.</summary>
    public required long Changes { get; init; }

    /// <summary>Transactions read since the reader started.</summary>
    public required long Transactions { get; init; }

    /// <summary>Changes read per second, over the last seconds.</summary>
    public required double? ChangesPerSecond { get; init; }

    /// <summary>Heartbeats seen in the log since the reader started.</summary>
    public required long Heartbeats { get; init; }

    /// <summary>Number of partitions.</summary>
    public required int Partitions { get; init; }

    /// <summary>Time from commit to the last sink's acknowledgement, on the slowest silo.</summary>
    public required Latency Latency { get; init; }
}

/// <summary>Positions in the source's log, in PostgreSQL's notation; null before they are known.</summary>
/// <param name="Server">End of the server's log, when last asked.</param>
/// <param name="Received">Last position read.</param>
/// <param name="Confirmed">The confirmed position: everything up to it is durable.</param>
public sealed record Positions(string? Server, string? Received, string? Confirmed);

/// <summary>The content of the window, and its limits.</summary>
/// <param name="Changes">Changes in the window.</param>
/// <param name="ChangesLimit">Limit in changes.</param>
/// <param name="Bytes">Bytes in the window.</param>
/// <param name="BytesLimit">Limit in bytes.</param>
public sealed record Window(long Changes, long ChangesLimit, long Bytes, long BytesLimit);

/// <summary>Counters of a silo for a source since the silo started.</summary>
public sealed record SiloDetail
{
    /// <summary>The silo.</summary>
    public required string Silo { get; init; }

    /// <summary>Number of partitions of the source on the silo.</summary>
    public required int Partitions { get; init; }

    /// <summary>Changes that are finished: delivered to every route or dead-lettered.</summary>
    public required long Finished { get; init; }

    /// <summary>Changes skipped because they had been applied before.</summary>
    public required long Duplicates { get; init; }

    /// <summary>Events that became dead letters.</summary>
    public required long DeadLetters { get; init; }

    /// <summary>Changes that no route selects. They are only counted.</summary>
    public required long Unrouted { get; init; }

    /// <summary>Changes that made no event because their operation is skipped.</summary>
    public required long Skipped { get; init; }

    /// <summary>Entities that are awake now: those that have an activation.</summary>
    public required long AwakeEntities { get; init; }

    /// <summary>Times that an entity woke.</summary>
    public required long EntitiesWoken { get; init; }

    /// <summary>Times that an entity was put to sleep.</summary>
    public required long EntitiesPutToSleep { get; init; }

    /// <summary>Changes of sleeping entities that were applied in passing, without waking them.</summary>
    public required long AppliedInPassing { get; init; }

    /// <summary>Changes that an entity could not apply, and gave up on after a second try. They are dead letters.</summary>
    public required long EntityFaults { get; init; }

    /// <summary>Entity and error of the last of them; null when there was none.</summary>
    public string? LastEntityFault { get; init; }

    /// <summary>Bytes that awake entities, and states written lately, keep in memory; of all sources on the silo together.</summary>
    public required long EntityBytes { get; init; }

    /// <summary>The memory of the source on the silo for changes in progress.</summary>
    public required MemoryDetail Memory { get; init; }

    /// <summary>States that were read from the store when an entity was used for the first time.</summary>
    public required long StateReads { get; init; }

    /// <summary>Checkpoints committed.</summary>
    public required long Checkpoints { get; init; }

    /// <summary>Entity states written by them.</summary>
    public required long StatesWritten { get; init; }

    /// <summary>States that were stored without their row, because it is too large.</summary>
    public required long RowsTooLarge { get; init; }

    /// <summary>Stored rows that could not be read when they were needed.</summary>
    public required long RowsUnreadable { get; init; }

    /// <summary>Entity and reason of the last of both; null when there was none.</summary>
    public string? LastRowNotStored { get; init; }

    /// <summary>Error of the last checkpoint; null when it succeeded.</summary>
    public string? CheckpointError { get; init; }

    /// <summary>Time from commit to the last sink's acknowledgement, over the last seconds.</summary>
    public required Latency Latency { get; init; }

    /// <summary>The silo's sinks.</summary>
    public required IReadOnlyList<SinkHealth> Sinks { get; init; }
}

/// <summary>The memory of a source on a silo for changes in progress, in bytes.</summary>
/// <param name="Limit">The limit: the source's <c>memory</c>.</param>
/// <param name="Window">The part of it that is for changes in the window.</param>
/// <param name="Applies">Reserved by applies in progress: stored rows, completed rows, and events.</param>
/// <param name="Unsaved">States and dead letters that are not durable yet.</param>
/// <param name="Waiting">Applies, and reads of states, that wait for memory. All reads of a source wait as one.</param>
public sealed record MemoryDetail(long Limit, long Window, long Applies, long Unsaved, int Waiting);

/// <summary>The last applied state of an entity.</summary>
/// <param name="Source">The source.</param>
/// <param name="Table">The table, as schema.table.</param>
/// <param name="Key">The key in canonical text.</param>
/// <param name="Version">The last applied version: commit LSN and ordinal.</param>
/// <param name="Deleted">Whether the row was deleted.</param>
/// <param name="SchemaVersion">Number of the table schema that the row follows.</param>
/// <param name="Waiting">Changes that are on their way to sinks, or wait for those.</param>
/// <param name="Awake">Whether the entity was awake when it was asked. A question wakes it.</param>
/// <param name="Row">The row, values as in events; null when deleted, when the table holds versions only, and for the reasons of <paramref name="RowNotStored"/>.</param>
/// <param name="RowNotStored">
/// Why the row is not stored although there is one: <c>tooLarge</c>, or <c>unreadable</c> when what is stored is damaged; else null. It is
/// stored again with the next change that the log has whole and that is small enough.
/// </param>
public sealed record Entity(
    string Source, string Table, string Key, string Version, bool Deleted, int SchemaVersion, int Waiting, bool Awake, JsonElement? Row,
    string? RowNotStored);

/// <summary>The answer that the process is live.</summary>
/// <param name="Status">Always live.</param>
public sealed record Liveness(string Status);

/// <summary>The answer that every source is streaming or holding.</summary>
/// <param name="Status">Always ready; otherwise the answer is a problem document.</param>
/// <param name="Sources">The sources, by name.</param>
public sealed record Readiness(string Status, IReadOnlyList<SourceReadiness> Sources);

/// <summary>Whether a source is streaming or holding.</summary>
/// <param name="Name">The source's name.</param>
/// <param name="Ready">Whether the source is streaming or holding.</param>
/// <param name="State">What it is doing.</param>
/// <param name="Detail">The problem and its remedy; null when there is none.</param>
public sealed record SourceReadiness(string Name, bool Ready, ReportedState State, string? Detail);
