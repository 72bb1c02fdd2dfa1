using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace CdcOrleans.Conformance;

/// <summary>JSON as it was written: how it is compared and shown.</summary>
internal static class JsonText
{
    private static readonly JsonSerializerOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    // What stands for a large value that an update did not touch: of text, of bytes, of arrays of text, numbers and UUIDs, of hstore.
    private static readonly HashSet<string> Placeholders =
    [
        "\"__debezium_unavailable_value\"", "\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"", "[\"__debezium_unavailable_value\"]",
        "[95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,98,108,101,95,118,97,108,117,101]",
        "[\"b68a35a7-17ad-35b3-af2a-ae46edb4545a\"]",
        "{\"__debezium_unavailable_value\":\"__debezium_unavailable_value\"}",
    ];

    /// <summary>The node's text, for people; null for null.</summary>
    public static string? Of(JsonNode? node) => node?.ToJsonString(Readable);

    /// <summary>Whether it stands for a large value that an update did not touch.</summary>
    public static bool IsPlaceholder(JsonNode? node) =>
        node is not null && Placeholders.Contains(node is JsonValue value && value.TryGetValue<string>(out var text) && text.StartsWith('{') ? text : node.ToJsonString());

    /// <summary>Whether two are the same to every reader: 1.0E10 is 10000000000.0, but 1 is not 1.0, and -0.0 is not 0.0.</summary>
    public static bool Equal(JsonNode? theirs, JsonNode? ours)
    {
        if (theirs is JsonValue left && ours is JsonValue right && left.GetValueKind() == JsonValueKind.Number && right.GetValueKind() == JsonValueKind.Number)
        {
            return left.ToJsonString() == right.ToJsonString() || (IsFloat(left) && IsFloat(right)
                && BitConverter.DoubleToInt64Bits(left.GetValue<double>()) == BitConverter.DoubleToInt64Bits(right.GetValue<double>()));
        }

        if (theirs is JsonArray a && ours is JsonArray b)
            return a.Count == b.Count && a.Zip(b).All(p => Equal(p.First, p.Second));
        if (theirs is JsonObject x && ours is JsonObject y)
            return x.Count == y.Count && x.All(p => y.ContainsKey(p.Key) && Equal(p.Value, y[p.Key]));
        return JsonNode.DeepEquals(theirs, ours);
    }

    private static bool IsFloat(JsonValue number) => number.ToJsonString().Any(c => c is '.' or 'E' or 'e');
}
