namespace CdcOrleans.Conformance;

/// <summary>Options under which a script is run: ours in <c>cdc.yaml</c>, and the peer's of the same meaning.</summary>
internal sealed record Variant(string Name, string Values, IReadOnlyDictionary<string, string> Settings)
{
    /// <summary>The scripts and the variants they are run under.</summary>
    public static readonly IReadOnlyList<(string Script, string Variant)> Runs =
        [.. Script.All.Select(s => (s, "default"))];

    private static readonly Variant[] All =
    [
        new("default", "{}", new Dictionary<string, string> { ["decimal.handling.mode"] = "string" }),
        new("exact", "{ decimals: precise, times: connect, binary: hex, intervals: string, hstore: map, money_digits: 4 }", new Dictionary<string, string>
        {
            ["decimal.handling.mode"] = "precise", ["time.precision.mode"] = "connect", ["binary.handling.mode"] = "hex",
            ["interval.handling.mode"] = "string", ["hstore.handling.mode"] = "map", ["money.fraction.digits"] = "4",
        }),
        new("text", "{ decimals: double, times: isostring, binary: base64-url-safe }", new Dictionary<string, string>
        {
            ["decimal.handling.mode"] = "double", ["time.precision.mode"] = "isostring", ["binary.handling.mode"] = "base64-url-safe",
        }),
        new("nanoseconds", "{ times: nanoseconds, binary: base64 }", new Dictionary<string, string>
        {
            ["decimal.handling.mode"] = "string", ["time.precision.mode"] = "nanoseconds", ["binary.handling.mode"] = "base64",
        }),
    ];

    public static Variant Named(string name) => All.First(v => v.Name == name);
}
