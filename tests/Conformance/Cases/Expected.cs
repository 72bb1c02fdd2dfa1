using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace CdcOrleans.Conformance.Cases;

/// <summary>An event that must come.</summary>
/// <param name="Op"><c>c</c>, <c>u</c> or <c>d</c>. A delete with a key has a tombstone after it.</param>
/// <param name="After">The row after, see <see cref="ExpectedValue"/>; null for a delete.</param>
/// <param name="Before">
/// The row that the table had just before, see <see cref="ExpectedValue"/>. Null where it had none, or nothing is said: then it is the row after the event before.
/// </param>
/// <param name="IsWhole">Whether the row before must be there, as under REPLICA IDENTITY FULL.</param>
internal sealed record ExpectedEvent(string Op, JsonNode? After, JsonNode? Before, bool IsWhole);

/// <summary>What must be true of one key of a table.</summary>
internal sealed class ExpectedKey(string key)
{
    /// <summary>The key of the events as JSON text; <c>null</c> where they have none.</summary>
    public string Key { get; } = key;

    public List<ExpectedEvent> Events { get; } = [];

    /// <summary>Whether the entity must not be live in the end, although its last event is no delete.</summary>
    public bool IsGone { get; set; }

    /// <summary>Whether the API may know nothing of the entity in the end.</summary>
    public bool IsDoubted { get; set; }

    /// <summary>The operations there, with <c>-</c> for a tombstone, where they differ from ours by design.</summary>
    public string? Peer { get; set; }

    /// <summary>Whether only the last event is given.</summary>
    public bool IsLastOnly { get; set; }
}

/// <summary>
/// What must be true of a table. A block begins with <c>-- expect schema.table</c>. Each further line has a key and a word:
/// <list type="bullet">
/// <item><c>c ROW</c>, <c>u ROW [before ROW] [whole ROW]</c>, <c>d [before ROW] [whole ROW]</c>: the events of the key, in order</item>
/// <item><c>last</c>: of the events only the last one is given, because those before it have more than one right form</item>
/// <item><c>gone</c>: the entity must not be live in the end, although the log does not say that the row has gone</item>
/// <item><c>doubted</c>: the API may also know nothing of the entity in the end, because rows may still have changed without an event after it</item>
/// <item><c>peer OPS</c>: the operations of a real Debezium, where they are others; <c>none</c> without any, <c>any</c> where it depends on time</item>
/// </list>
/// </summary>
internal sealed record ExpectedTable(string Table, IReadOnlyList<ExpectedKey> Keys)
{
    public const string Mark = "-- expect ";

    public static ExpectedTable Parse(string block)
    {
        var lines = block.Split('\n');
        var keys = new List<ExpectedKey>();
        foreach (var line in lines.Skip(1))
        {
            var rest = line["-- ".Length..];
            var key = Json(ref rest)?.ToJsonString() ?? "null";
            if (keys.Find(k => k.Key == key) is not { } expected)
                keys.Add(expected = new ExpectedKey(key));
            switch (Word(ref rest))
            {
                case "gone":
                    expected.IsGone = true;
                    break;
                case "doubted":
                    expected.IsDoubted = true;
                    break;
                case "last":
                    expected.IsLastOnly = true;
                    break;
                case "peer":
                    expected.Peer = Word(ref rest).Replace("none", "", StringComparison.Ordinal);
                    break;
                case ("c" or "u" or "d") and var op:
                    expected.Events.Add(Event(op, rest));
                    break;
                case var word:
                    throw new InvalidDataException($"'{word}' in '{line}' is no word of an expectation.");
            }
        }

        return new ExpectedTable(lines[0][Mark.Length..].Trim(), keys);
    }

    private static ExpectedEvent Event(string op, string rest)
    {
        var after = op == "d" ? null : Json(ref rest);
        var word = Word(ref rest);
        return word switch
        {
            "" => new ExpectedEvent(op, after, null, false),
            "before" or "whole" => new ExpectedEvent(op, after, Json(ref rest), word == "whole"),
            _ => throw new InvalidDataException($"'{word}' is no word of an expected event."),
        };
    }

    private static string Word(ref string rest)
    {
        var text = rest.Trim();
        var end = text.IndexOf(' ', StringComparison.Ordinal) is >= 0 and var space ? space : text.Length;
        rest = text[end..];
        return text[..end];
    }

    private static JsonNode? Json(ref string rest)
    {
        var bytes = Encoding.UTF8.GetBytes(rest);
        var reader = new Utf8JsonReader(bytes, isFinalBlock: false, default);
        var node = JsonNode.Parse(ref reader);
        rest = Encoding.UTF8.GetString(bytes.AsSpan((int)reader.BytesConsumed));
        return node;
    }
}
