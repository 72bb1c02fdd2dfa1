using System.Text.Json;
using System.Text.Json.Nodes;

namespace CdcOrleans.Conformance;

/// <summary>One record of a topic, its JSON parsed.</summary>
/// <param name="Topic">Topic without its prefix.</param>
/// <param name="Key">The key as JSON text; null where there is none.</param>
/// <param name="Value">The value; null for a tombstone.</param>
/// <param name="Headers">Headers of Debezium's own that consumers may depend on.</param>
internal sealed record TopicRecord(string Topic, string? Key, JsonNode? Value, SortedDictionary<string, string> Headers);

/// <summary>What the peer wrote for a script, kept for machines that cannot run it.</summary>
internal sealed record Recording(string Peer, IReadOnlyList<TopicRecord> Records)
{
    private static readonly JsonSerializerOptions Options = new() { WriteIndented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static string PathOf(string folder, string run) => Path.Combine(folder, $"{run}.json");

    public static Recording Read(string run) =>
        JsonSerializer.Deserialize<Recording>(File.ReadAllText(PathOf(Path.Combine(AppContext.BaseDirectory, "Recorded"), run)), Options)!;

    public void Write(string folder, string run) => File.WriteAllText(PathOf(folder, run), JsonSerializer.Serialize(this, Options) + "\n");
}
