namespace CdcOrleans.Model.Configuration;

/// <summary>What a silo and its gateway run: the validated content of <c>cdc.yaml</c>.</summary>
public sealed record PipelineConfiguration
{
    /// <summary>The cluster that silos form.</summary>
    public required ClusterConfiguration Cluster { get; init; }

    /// <summary>The control database.</summary>
    public required ControlConfiguration Control { get; init; }

    /// <summary>Captured databases, by name.</summary>
    public required IReadOnlyDictionary<string, SourceConfiguration> Sources { get; init; }

    /// <summary>Destinations, by name.</summary>
    public required IReadOnlyDictionary<string, SinkConfiguration> Sinks { get; init; }

    /// <summary>Which tables go where.</summary>
    public required IReadOnlyList<RouteConfiguration> Routes { get; init; }

    /// <summary>The gateway.</summary>
    public required GatewayConfiguration Gateway { get; init; }
}

/// <summary>Silos with one id and one control database form a cluster.</summary>
public sealed record ClusterConfiguration
{
    /// <summary>The cluster's id.</summary>
    public required string Id { get; init; }

    /// <summary>Address that this silo is reached at by the others.</summary>
    public string Address { get; init; } = "127.0.0.1";

    /// <summary>Port for other silos; 0 takes a free one.</summary>
    public int SiloPort { get; init; } = 11111;

    /// <summary>Port for clients such as the gateway; 0 takes a free one.</summary>
    public int ClientPort { get; init; } = 30000;

    /// <summary>Bytes that live entities may keep in a silo before idle ones are let go. Default 64 MiB.</summary>
    public long EntityCacheBytes { get; init; } = 64L << 20;
}

/// <summary>The control database.</summary>
public sealed record ControlConfiguration
{
    /// <summary>Npgsql connection string.</summary>
    public required string Connection { get; init; }

    /// <summary>Longest time between checkpoints. Default 200 ms, 10 ms to 10 s.</summary>
    public TimeSpan CheckpointInterval { get; init; } = TimeSpan.FromMilliseconds(200);

    /// <summary>Buffered bytes that bring the next checkpoint forward. Default 8 MiB.</summary>
    public long CheckpointBytes { get; init; } = 8L << 20;
}

/// <summary>One captured PostgreSQL database.</summary>
public sealed record SourceConfiguration
{
    /// <summary>The source's name: also the topic prefix.</summary>
    public required string Name { get; init; }

    /// <summary>Npgsql connection string; the role needs REPLICATION.</summary>
    public required string Connection { get; init; }

    /// <summary>Replication slot, created if missing.</summary>
    public required string Slot { get; init; }

    /// <summary>Publication, created if missing.</summary>
    public required string Publication { get; init; }

    /// <summary>Captured tables and their options. A selection without <c>*</c> wins over patterns; among patterns the first that matches decides.</summary>
    public required IReadOnlyList<TableSelection> Tables { get; init; }

    /// <summary>What to do with rows that exist already.</summary>
    public BackfillMode Backfill { get; init; } = BackfillMode.Never;

    /// <summary>Number of partitions; fixed at the source's first start. Default 32, 1 to 4096.</summary>
    public int Partitions { get; init; } = 32;

    /// <summary>Changes that may be on their way (read, not yet durable) before reading pauses. Default 15,000.</summary>
    public int WindowChanges { get; init; } = 15_000;

    /// <summary>The same in bytes. Default 32 MiB.</summary>
    public long WindowBytes { get; init; } = 32L << 20;

    /// <summary>Time between heartbeats written into the source's log; zero switches them off. Default 10 s.</summary>
    public TimeSpan HeartbeatInterval { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How values are written, where a table has no options of its own.</summary>
    public ValueOptions Values { get; init; } = ValueOptions.Default;

    /// <summary>What becomes of values that are too long to pass through memory.</summary>
    public LargeValueOptions LargeValues { get; init; } = new();

    /// <summary>Which events changes make, where a table has no options of its own.</summary>
    public EventOptions Events { get; init; } = EventOptions.Default;

    /// <summary>Prefixes of the logical messages that are captured; <c>*</c> stands for any text. Default: all.</summary>
    public IReadOnlyList<string> Messages { get; init; } = ["*"];

    /// <summary>Whether events tell their transaction, and its begin and end are events of their own. Default: no.</summary>
    public bool Transactions { get; init; }

    /// <summary>Whether heartbeats are events. Default: no.</summary>
    public bool HeartbeatEvents { get; init; }

    /// <summary>
    /// Whether a publication that is created here publishes changes of partitions as those of their partitioned table. Default: yes.
    /// </summary>
    public bool ViaPartitionRoot { get; init; } = true;

    /// <summary>The selection that decides for a table; null when none matches.</summary>
    public TableSelection? Select(string schema, string table)
    {
        var name = $"{schema}.{table}";
        return Tables.FirstOrDefault(t => t.Pattern == name) ?? Tables.FirstOrDefault(t => NamePattern.Matches(t.Pattern, name));
    }
}

/// <summary>Rows that exist when capture begins.</summary>
public enum BackfillMode
{
    /// <summary>Only changes from now on.</summary>
    Never,

    /// <summary>Read them once, at the first start.</summary>
    Initial,

    /// <summary>Read them at the first start and whenever the slot was lost.</summary>
    WhenNeeded,
}

/// <summary>When the entities of a table wake.</summary>
public enum EntityActivation
{
    /// <summary>When changes follow each other closely, or somebody asks. A lone change of an entity that sleeps is applied in passing.</summary>
    WhenNeeded,

    /// <summary>For every change.</summary>
    Always,
}

/// <summary>What an entity of a table holds.</summary>
public enum EntityMode : byte
{
    /// <summary>Version and row: completed images, entity queries.</summary>
    Row,

    /// <summary>The version only: order and idempotency.</summary>
    Version,

    /// <summary>Nothing: order by key within the partition, events carry what the log carries.</summary>
    Off,
}

/// <summary>Tables of a source and their options.</summary>
public sealed record TableSelection
{
    /// <summary><c>schema.table</c>; <c>*</c> stands for any text.</summary>
    public required string Pattern { get; init; }

    /// <summary>What entities of these tables hold.</summary>
    public EntityMode Entities { get; init; } = EntityMode.Row;

    /// <summary>When its entities wake. Default: when needed.</summary>
    public EntityActivation Activation { get; init; } = EntityActivation.WhenNeeded;

    /// <summary>How values of these tables are written; null for the source's way.</summary>
    public ValueOptions? Values { get; init; }

    /// <summary>Which events changes of these tables make; null for the source's.</summary>
    public EventOptions? Events { get; init; }
}

/// <summary>A destination.</summary>
public abstract record SinkConfiguration
{
    /// <summary>The sink's name.</summary>
    public required string Name { get; init; }

    /// <summary>Its type in the configuration.</summary>
    public abstract string Type { get; }
}

/// <summary>Apache Kafka.</summary>
public sealed record KafkaSinkConfiguration : SinkConfiguration
{
    /// <inheritdoc />
    public override string Type => "kafka";

    /// <summary>Bootstrap servers, <c>host:port</c> separated by commas.</summary>
    public required string Bootstrap { get; init; }

    /// <summary>Further librdkafka producer settings, such as <c>compression.type</c>.</summary>
    public IReadOnlyDictionary<string, string> Options { get; init; } = new Dictionary<string, string>();
}

/// <summary>Files of one JSON object a line, one file a topic.</summary>
public sealed record FileSinkConfiguration : SinkConfiguration
{
    /// <inheritdoc />
    public override string Type => "file";

    /// <summary>Folder of the files; created if missing.</summary>
    public required string Directory { get; init; }
}

/// <summary>Tables that go to sinks.</summary>
public sealed record RouteConfiguration
{
    /// <summary><c>source.schema.table</c>; <c>*</c> stands for any text.</summary>
    public required string From { get; init; }

    /// <summary>Names of sinks.</summary>
    public required IReadOnlyList<string> To { get; init; }

    /// <summary>Name of the event format.</summary>
    public string Format { get; init; } = "debezium";
}

/// <summary>The HTTP gateway.</summary>
public sealed record GatewayConfiguration
{
    /// <summary>Address to listen at; loopback only until authentication is set.</summary>
    public Uri Listen { get; init; } = new("http://127.0.0.1:8080");
}
