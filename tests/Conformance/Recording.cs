using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace CdcOrleans.Conformance;

/// <summary>One record of a topic, its JSON parsed.</summary>
/// <param name="Topic">Topic without its prefix.</param>
/// <param name="Key">The key as JSON text; null where there is none.</param>
/// <param name="Value">The value; null for a tombstone.</param>
/// <param name="Headers">Headers of Debezium's own that consumers may depend on.</param>
internal sealed record TopicRecord(string Topic, string? Key, JsonNode? Value, SortedDictionary<string, string> Headers)
{
    /// <summary>Partition and offset, for people who look for the cause of a difference.</summary>
    [JsonIgnore]
    public string Place { get; init; } = "";
}

/// <summary>What the peer wrote for a script, kept for machines that cannot run it.</summary>
internal sealed record Recording(string Peer, IReadOnlyList<TopicRecord> Records)
{
    private static readonly JsonSerializerOptions Options = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static string PathOf(string folder, string run) => Path.Combine(folder, $"{run}.json");

    /// <summary>Whether a field of an event, or of its source block, differs from run to run.</summary>
    public static bool IsOfOneRun(string field) => field is "lsn" or "sequence" or "txId" or "ts_ms" or "ts_us" or "ts_ns" or "db" or "name";

    public static Recording Read(string run) =>
        JsonSerializer.Deserialize<Recording>(File.ReadAllText(PathOf(Path.Combine(AppContext.BaseDirectory, "Recorded"), run)), Options)!;

    /// <summary>Keeps what is the same in every run, in an order that is the same too.</summary>
    public void Write(string folder, string run)
    {
        var lasting = Records.OrderBy(r => r.Topic, StringComparer.Ordinal).ThenBy(r => r.Key, StringComparer.Ordinal).Select(r => r with { Value = Lasting(r.Value) });
        File.WriteAllText(PathOf(folder, run), JsonSerializer.Serialize(this with { Records = [.. lasting] }, Options) + "\n");
    }

    private static JsonNode? Lasting(JsonNode? value)
    {
        var kept = value?.DeepClone();
        foreach (var part in new[] { kept as JsonObject, kept?["source"] as JsonObject }.OfType<JsonObject>())
        {
            foreach (var field in part.Select(p => p.Key).Where(IsOfOneRun).ToList())
                part.Remove(field);
        }

        return kept;
    }
}
