using System.Globalization;
using System.Text.Json.Nodes;

namespace CdcOrleans.Conformance;

/// <summary>
/// What our own events say of a row one after another: the row before a change is the row after the change before. Theirs does not
/// have it, so this is what our held rows are compared with.
/// </summary>
internal sealed class HeldRows
{
    // The row that each event found; null where no event before it told of one.
    private readonly Dictionary<TopicRecord, JsonObject> _found = new(ReferenceEqualityComparer.Instance);

    public HeldRows(Dictionary<(string Topic, string? Key), List<TopicRecord>> ours)
    {
        var last = new Dictionary<(string Topic, string? Key), JsonObject>();
        foreach (var (place, records) in ours.Where(o => o.Key.Key is not null))
        {
            JsonObject? row = null;
            for (var i = 0; i < records.Count; i++)
            {
                if (records[i].Value is not { } value)
                    continue;
                if (row is not null)
                    _found[records[i]] = row;
                if (row is not null && value["before"] is JsonObject before)
                    Check(string.Create(CultureInfo.InvariantCulture, $"{place.Topic} {place.Key}[{i}].before"), row, before);
                row = value["after"] as JsonObject;
                if (value["op"]?.GetValue<string>() == "d" && value["before"] is JsonObject end)
                    last[place] = end;
            }
        }

        // A row that comes from another key brings its values along.
        foreach (var record in ours.Values.SelectMany(r => r))
        {
            if (record.Headers.TryGetValue("__debezium.oldkey", out var old) && last.TryGetValue((record.Topic, old), out var row))
                _found[record] = row;
        }
    }

    /// <summary>Rows before that were other than the row after the change before.</summary>
    public List<string> Wrong { get; } = [];

    /// <summary>Whether an event before this one told of the row.</summary>
    public bool Knows(TopicRecord our) => _found.ContainsKey(our);

    /// <summary>
    /// Whether a value is what the row had before this event: what is in its own <c>before</c>, which is compared here, else what an
    /// event before it told; where neither is there, it must be a placeholder.
    /// </summary>
    public bool IsLastKnown(TopicRecord our, string column, JsonNode? value) =>
        (our.Value!["before"] as JsonObject ?? _found.GetValueOrDefault(our)) is { } row && row.ContainsKey(column)
            ? JsonText.Equal(row[column], value)
            : JsonText.IsPlaceholder(value);

    // Another shape is another matter, and so are a value that no event told, and values that stand under each other's names since.
    private void Check(string at, JsonObject row, JsonObject before)
    {
        if (!row.Select(p => p.Key).ToHashSet().SetEquals(before.Select(p => p.Key)))
            return;
        var wrong = row.Where(p => !JsonText.IsPlaceholder(p.Value) && !JsonText.Equal(p.Value, before[p.Key])).Select(p => p.Key).ToList();
        if (wrong.Count > 1 && wrong.Select(n => JsonText.Of(row[n])).Order(StringComparer.Ordinal).SequenceEqual(wrong.Select(n => JsonText.Of(before[n])).Order(StringComparer.Ordinal)))
            return;
        foreach (var name in wrong)
            Wrong.Add($"{at}.{name}: {JsonText.Of(row[name]) ?? "null"} was told, {JsonText.Of(before[name]) ?? "null"} is before");
    }
}
