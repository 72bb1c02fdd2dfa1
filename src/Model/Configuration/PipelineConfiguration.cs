using System.Collections.Immutable;

namespace CdcOrleans.Model.Configuration;

/// <summary>The validated content of <c>cdc.yaml</c>.</summary>
public sealed record PipelineConfiguration
{
    /// <summary>The cluster that silos form.</summary>
    public required ClusterConfiguration Cluster { get; init; }

    /// <summary>The control database.</summary>
    public required ControlConfiguration Control { get; init; }

    /// <summary>Captured databases, by name.</summary>
    public required IReadOnlyDictionary<string, SourceConfiguration> Sources { get; init; }

    /// <summary>Sinks, by name.</summary>
    public required IReadOnlyDictionary<string, SinkConfiguration> Sinks { get; init; }

    /// <summary>Routes from tables to sinks.</summary>
    public required IReadOnlyList<RouteConfiguration> Routes { get; init; }

    /// <summary>The gateway.</summary>
    public required GatewayConfiguration Gateway { get; init; }
}

/// <summary>Silos with one id and one control database form a cluster.</summary>
public sealed record ClusterConfiguration
{
    /// <summary>The cluster's id.</summary>
    public required string Id { get; init; }

    /// <summary>Address at which the other silos reach this one.</summary>
    public string Address { get; init; } = "127.0.0.1";

    /// <summary>Port for other silos; 0 takes a free one.</summary>
    public int SiloPort { get; init; } = 11111;

    /// <summary>Port for clients such as the gateway; 0 takes a free one.</summary>
    public int ClientPort { get; init; } = 30000;

    /// <summary>
    /// Memory in bytes for awake entities of one silo. Beyond it, entities that were not used for the longest time go to sleep. Default 64
    /// MiB.
    /// </summary>
    public long EntityCacheBytes { get; init; } = 64L << 20;
}

/// <summary>The control database.</summary>
public sealed record ControlConfiguration
{
    /// <summary>Npgsql connection string.</summary>
    public required string Connection { get; init; }

    /// <summary>Longest time between checkpoints. Default 200 ms, 10 ms to 10 s.</summary>
    public TimeSpan CheckpointInterval { get; init; } = TimeSpan.FromMilliseconds(200);

    /// <summary>A checkpoint begins early when the buffered states reach this size in bytes. Default 8 MiB.</summary>
    public long CheckpointBytes { get; init; } = 8L << 20;

    /// <summary>How long delete markers are kept; zero: for ever. Default 7 days, 1 hour to 10 years.</summary>
    public TimeSpan DeleteMarkerRetention { get; init; } = TimeSpan.FromDays(7);

    /// <summary>How long dead letters are kept; zero: for ever. Default 30 days, 1 hour to 10 years.</summary>
    public TimeSpan DeadLetterRetention { get; init; } = TimeSpan.FromDays(30);

    /// <summary>How long entries of the audit log are kept; zero: for ever. Default 90 days, 1 hour to 10 years.</summary>
    public TimeSpan AuditRetention { get; init; } = TimeSpan.FromDays(90);
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

    /// <summary>Whether existing rows are read; for tables without options of their own. It has no condition and no columns.</summary>
    public BackfillOptions Backfill { get; init; } = BackfillOptions.Never;

    /// <summary>Npgsql connection strings of standbys of the server, by name. Default: none.</summary>
    public IReadOnlyDictionary<string, string> Replicas { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>Which of <see cref="Replicas"/> the backfills of the source read their rows from; null for the server itself.</summary>
    public string? BackfillReplica { get; init; }

    /// <summary>Number of partitions; fixed at the source's first start. Default 32, 1 to 4096.</summary>
    public int Partitions { get; init; } = 32;

    /// <summary>
    /// Size of the window in changes: changes that were read and are not yet durable. When it is full, reading pauses. Default 15,000.
    /// </summary>
    public int WindowChanges { get; init; } = 15_000;

    /// <summary>Size of the window in bytes. Default 32 MiB.</summary>
    public long WindowBytes { get; init; } = 32L << 20;

    /// <summary>
    /// Memory of the source on one silo, in bytes: the window, applies in progress, and what is not durable. At least twice
    /// <see cref="WindowBytes"/>. Null: a quarter of the process's memory is shared by all sources; at most 512 MiB and at least three windows.
    /// </summary>
    public long? MemoryBytes { get; init; }

    /// <summary>Time between heartbeats written into the source's log; zero switches them off. Default 10 s.</summary>
    public TimeSpan HeartbeatInterval { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How events write values; for tables without options of their own.</summary>
    public ValueOptions Values { get; init; } = ValueOptions.Default;

    /// <summary>How values are handled that are too long to be kept in memory.</summary>
    public LargeValueOptions LargeValues { get; init; } = new();

    /// <summary>Which changes become events; for tables without options of their own.</summary>
    public EventOptions Events { get; init; } = EventOptions.Default;

    /// <summary>Prefixes of the logical messages that are captured; <c>*</c> stands for any text. Default: all.</summary>
    public IReadOnlyList<string> Messages { get; init; } = ["*"];

    /// <summary>Whether events name their transaction, and its begin and end are events too. Default: no.</summary>
    public bool Transactions { get; init; }

    /// <summary>Whether heartbeats are events. Default: no.</summary>
    public bool HeartbeatEvents { get; init; }

    /// <summary>
    /// Whether changes of partitions are published under the name of their partitioned table (<c>publish_via_partition_root</c>). Applies
    /// when the publication is created here. Default: yes.
    /// </summary>
    public bool ViaPartitionRoot { get; init; } = true;

    /// <summary>Finds the selection that applies to a table; null when none matches.</summary>
    public TableSelection? Select(string schema, string table)
    {
        var name = $"{schema}.{table}";
        return Tables.FirstOrDefault(t => t.Pattern == name) ?? Tables.FirstOrDefault(t => NamePattern.Matches(t.Pattern, name));
    }

    /// <summary>Finds the selection that applies to a table; null when none matches, or when the name is not <c>schema.table</c>.</summary>
    public TableSelection? Select(string table)
    {
        var dot = table.IndexOf('.', StringComparison.Ordinal);
        return dot < 1 || dot == table.Length - 1 ? null : Select(table[..dot], table[(dot + 1)..]);
    }
}

/// <summary>What happens to rows that exist when capture begins.</summary>
public enum BackfillMode
{
    /// <summary>They are not read. Only changes from the first start on are captured.</summary>
    Never,

    /// <summary>They are read once, while changes are captured.</summary>
    Initial,

    /// <summary>They are read once, as with <see cref="Initial"/>.</summary>
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

/// <summary>What is stored of each entity of a table.</summary>
public enum EntityMode : byte
{
    /// <summary>The version and the row. Images are complete, and entities can be queried.</summary>
    Row,

    /// <summary>The version. It gives order and idempotency.</summary>
    Version,

    /// <summary>Nothing. Events of one key stay in order, and they carry only what the log has.</summary>
    Off,
}

/// <summary>Tables of a source and their options.</summary>
public sealed record TableSelection
{
    /// <summary><c>schema.table</c>; <c>*</c> stands for any text.</summary>
    public required string Pattern { get; init; }

    /// <summary>What is stored of each entity of these tables.</summary>
    public EntityMode Entities { get; init; } = EntityMode.Row;

    /// <summary>When its entities wake. Default: when needed.</summary>
    public EntityActivation Activation { get; init; } = EntityActivation.WhenNeeded;

    /// <summary>How values of these tables are written; null for the source's way.</summary>
    public ValueOptions? Values { get; init; }

    /// <summary>Which changes of these tables become events; null for the source's options.</summary>
    public EventOptions? Events { get; init; }

    /// <summary>How long the changes of these tables are kept in a journal; null for no journal.</summary>
    public JournalOptions? Journal { get; init; }

    /// <summary>Whether existing rows of these tables are read; null for the source's options.</summary>
    public BackfillOptions? Backfill { get; init; }
}

/// <summary>How long the journal of a table keeps changes. At least one of the two bounds is set.</summary>
public sealed record JournalOptions
{
    /// <summary>The age up to which changes are kept; null for any age. 1 hour to 10 years.</summary>
    public TimeSpan? Age { get; init; }

    /// <summary>Bytes in the control database beyond which the oldest changes are deleted; null for any size. 64 MB to 64 TB.</summary>
    public long? Size { get; init; }
}

/// <summary>A sink.</summary>
public abstract record SinkConfiguration
{
    /// <summary>The sink's name.</summary>
    public required string Name { get; init; }

    /// <summary>Its type in the configuration.</summary>
    public abstract string Type { get; }
}

/// <summary>A route from tables to sinks.</summary>
public sealed record RouteConfiguration
{
    /// <summary><c>source.schema.table</c>; <c>*</c> stands for any text.</summary>
    public required string From { get; init; }

    /// <summary>Names of sinks.</summary>
    public required IReadOnlyList<string> To { get; init; }

    /// <summary>Name of the event format.</summary>
    public string Format { get; init; } = "debezium";

    /// <summary>How events are delivered that a sink does not accept at once, by sink; a sink that is not in it has the default policy.</summary>
    public IReadOnlyDictionary<string, DeliveryPolicy> Delivery { get; init; } = new Dictionary<string, DeliveryPolicy>();

    /// <summary>Returns the policy for a sink.</summary>
    public DeliveryPolicy DeliveryTo(string sink) => Delivery.GetValueOrDefault(sink, DeliveryPolicy.Default);
}

/// <summary>The HTTP gateway.</summary>
public sealed record GatewayConfiguration
{
    /// <summary>Address to listen at. Only loopback addresses are allowed, because there is no authentication.</summary>
    public Uri Listen { get; init; } = new("http://127.0.0.1:8080");
}
