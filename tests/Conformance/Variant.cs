namespace CdcOrleans.Conformance;

/// <summary>Options under which a script is run.</summary>
internal sealed record Variant(string Name, params IReadOnlyList<Option> Options)
{
    private static readonly Option[] Exact =
        [Option.Decimals("precise"), Option.Times("connect"), Option.Binary("hex"), Option.Intervals("string"), Option.Hstore("map"), Option.MoneyDigits(4)];

    private static readonly Option[] Text = [Option.Decimals("double"), Option.Times("isostring"), Option.Binary("base64-url-safe")];

    private static readonly Variant[] All =
    [
        new("default"),
        new("exact", Exact),
        new("text", Text),
        new("nanoseconds", Option.Times("nanoseconds"), Option.Binary("base64")),
        new("microseconds", Option.Times("microseconds")),
        new("structured", Option.Times("structured")),
        new("time-microseconds", Option.Times("adaptive_time_microseconds")),
        new("transactions")
        {
            Events = "{ skip: none, transactions: true }",
            OfEvents = new Dictionary<string, string> { ["skipped.operations"] = "none", ["provide.transaction.metadata"] = "true" },
        },
        new("transactions-interrupted")
        {
            Events = "{ skip: none, transactions: true }",
            OfEvents = new Dictionary<string, string> { ["skipped.operations"] = "none", ["provide.transaction.metadata"] = "true" },
            IsInterrupted = true,
        },
        new("transactions-without-updates")
        {
            Events = "{ skip: [t, u], transactions: true }",
            OfEvents = new Dictionary<string, string> { ["skipped.operations"] = "t,u", ["provide.transaction.metadata"] = "true" },
        },
        new("without-tombstones")
        {
            Events = "{ skip: [u, t], tombstones: false, messages: [note] }",
            OfEvents = new Dictionary<string, string>
            {
                ["skipped.operations"] = "u,t", ["tombstones.on.delete"] = "false", ["message.prefix.include.list"] = "note",
            },
        },
        new("interrupted") { IsInterrupted = true },
        new("entities-off") { HasEntities = false },
        new("entities-off-exact", Exact) { HasEntities = false },
        new("entities-off-text", Text) { HasEntities = false },
        new("entities-off-structured", Option.Times("structured")) { HasEntities = false },
        new("initial") { Reads = Reading.Initial },
        new("incremental") { Reads = Reading.Incremental },
        new("incremental-exact", Exact) { Reads = Reading.Incremental },
        new("by-partition") { ViaPartitionRoot = false },
        new("beating")
        {
            Events = "{ heartbeats: true }",
            Heartbeat = "500ms",
            OfEvents = new Dictionary<string, string> { ["heartbeat.interval.ms"] = "500", ["message.prefix.exclude.list"] = "cdc.*" },
        },
    ];

    // Scripts in which the log does not have all values.
    private static readonly string[] WithoutEntities =
        ["types", "odd-types", "keys", "operations", "large-values", "ddl", "schema-changes", "key-changes", "partitions"];

    /// <summary>The scripts and the variants they are run under: every script by default, and that of types under all options.</summary>
    public static readonly IReadOnlyList<(string Script, string Variant)> Runs =
    [
        .. Script.All.Select(s => (s, "default")),
        .. All.Where(v => v is { Options.Count: > 0, HasEntities: true, Reads: Reading.None }).SelectMany(v => new[] { ("types", v.Name), ("arrays", v.Name) }),
        ("streams", "transactions"), ("streams", "transactions-without-updates"), ("streams", "without-tombstones"), ("keys", "without-tombstones"), ("operations", "transactions"), ("keyless", "transactions"), ("truncated", "transactions"), ("streams", "transactions-interrupted"),
        ("operations", "interrupted"), ("keys", "interrupted"), ("schema-changes", "interrupted"), ("large-values", "interrupted"), ("partitions", "interrupted"),
        ("partitions", "by-partition"), ("inherited", "beating"),
        .. WithoutEntities.Select(s => (s, "entities-off")),
        ("odd-types", "entities-off-structured"),
        .. new[] { "types", "odd-types", "identifiers" }.Select(s => (s, "initial")),
        ("types", "incremental"), ("arrays", "incremental-exact"),
        .. new[] { "entities-off-exact", "entities-off-text" }.SelectMany(v => new[] { ("odd-types", v), ("large-values", v) }),
    ];

    /// <summary>Ours, as the mapping <c>events</c> of <c>cdc.yaml</c>.</summary>
    public string Events { get; private init; } = "{}";

    /// <summary>The peer's of the same meaning.</summary>
    public IReadOnlyDictionary<string, string> OfEvents { get; private init; } = new Dictionary<string, string>();

    /// <summary>Ours, as <c>heartbeat</c> in <c>cdc.yaml</c>.</summary>
    public string Heartbeat { get; private init; } = "0";

    /// <summary>Whether changes of partitions are published under the name of their partitioned table.</summary>
    public bool ViaPartitionRoot { get; private init; } = true;

    /// <summary>Whether both peers are stopped in the middle and started again.</summary>
    public bool IsInterrupted { get; private init; }

    /// <summary>
    /// Whether we store rows. If not (<c>entities: off</c>), our events have only what the log has, as those of the peer.
    /// </summary>
    public bool HasEntities { get; private init; } = true;

    /// <summary>Whether the rows exist before the capture, and how they are read.</summary>
    public Reading Reads { get; private init; }

    /// <summary>Whether updates make no events.</summary>
    public bool SkipsUpdates => OfEvents.TryGetValue("skipped.operations", out var skipped) && skipped.Contains('u', StringComparison.Ordinal);

    public static Variant Named(string name) => All.First(v => v.Name == name);

    // Debezium's own default for decimals is another than ours; all others are the same.
    private IEnumerable<Option> Effective =>
        new[] { Option.Decimals("string"), Option.Times("adaptive") }.Where(d => Options.All(o => o.Setting != d.Setting)).Concat(Options);

    /// <summary>Ours, as the mapping <c>values</c> of <c>cdc.yaml</c>.</summary>
    public string Values => $"{{ {string.Join(", ", Options.Select(o => $"{o.Key}: {o.Value}"))} }}";

    /// <summary>The peer's, of the same meaning.</summary>
    public IReadOnlyDictionary<string, string> Settings =>
        Effective.Select(o => KeyValuePair.Create(o.Setting, o.Value)).Concat(WithoutOurs).Concat(OfEvents).Concat(OfReading).ToDictionary();

    private IEnumerable<KeyValuePair<string, string>> OfReading => Reads switch
    {
        Reading.Initial => [KeyValuePair.Create("snapshot.mode", "initial")],

        // Small chunks, so that tables have several.
        Reading.Incremental => [KeyValuePair.Create("signal.data.collection", Existing.Signals), KeyValuePair.Create("incremental.snapshot.chunk.size", "2")],
        _ => [],
    };

    // The messages that we write for ourselves.
    private IEnumerable<KeyValuePair<string, string>> WithoutOurs =>
        OfEvents.Keys.Any(k => k.StartsWith("message.prefix.", StringComparison.Ordinal)) ? [] : [KeyValuePair.Create("message.prefix.exclude.list", "cdc.*")];

    /// <summary>What may differ under these options.</summary>
    public IReadOnlyList<Allowance> Allowed => [.. Effective.SelectMany(o => o.Allowed)];
}
