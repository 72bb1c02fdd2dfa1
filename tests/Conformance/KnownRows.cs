using System.Globalization;
using System.Text.Json.Nodes;

namespace CdcOrleans.Conformance;

/// <summary>
/// The rows that our own events give one after another: the row before a change is the row after the previous change. Debezium's events do
/// not have it, so the <c>before</c> that comes from a stored row is compared with this.
/// </summary>
internal sealed class KnownRows
{
    // The row before each event; missing when no earlier event had it.
    private readonly Dictionary<TopicRecord, JsonObject> _found = new(ReferenceEqualityComparer.Instance);

    private readonly bool _mayForget;

    /// <param name="ours">Our events by topic and key.</param>
    /// <param name="mayForget">Whether an event may have only its key, and placeholders, although an earlier event had the row.</param>
    public KnownRows(Dictionary<(string Topic, string? Key), List<TopicRecord>> ours, bool mayForget)
    {
        _mayForget = mayForget;
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

        // A row with a new key keeps the values of the row under the old key.
        foreach (var record in ours.Values.SelectMany(r => r))
        {
            if (record.Headers.TryGetValue("__debezium.oldkey", out var old) && last.TryGetValue((record.Topic, old), out var row))
                _found[record] = row;
        }
    }

    /// <summary>Each <c>before</c> that differs from the row after the previous change.</summary>
    public List<string> Wrong { get; } = [];

    /// <summary>Whether an earlier event had the row.</summary>
    public bool Knows(TopicRecord our) => _found.ContainsKey(our);

    /// <summary>
    /// Whether a value is the one that the row had before this event. It is in the event's own <c>before</c>, which is compared here, or
    /// else in an earlier event. When neither has it, the value must be a placeholder.
    /// </summary>
    public bool IsLastKnown(TopicRecord our, string column, JsonNode? value) =>
        (our.Value!["before"] as JsonObject ?? _found.GetValueOrDefault(our)) is { } row && row.ContainsKey(column)
            ? JsonText.Equal(row[column], value) || (_mayForget && JsonText.IsPlaceholder(value))
            : JsonText.IsPlaceholder(value);

    // What stands for a value that is not known, in a row of which only the key is: null, or the least value of the type.
    internal static bool IsNothing(JsonNode? value) => JsonText.Of(value) is null or "null" or "0" or "\"\"" or "false" or "[]" || JsonText.IsPlaceholder(value);

    // Rows with other columns are not compared, nor values that no event had, nor values whose columns exchanged their names.
    private void Check(string at, JsonObject row, JsonObject before)
    {
        if (!row.Select(p => p.Key).ToHashSet().SetEquals(before.Select(p => p.Key)))
            return;
        var wrong = row.Where(p => !JsonText.IsPlaceholder(p.Value) && !JsonText.Equal(p.Value, before[p.Key])).Select(p => p.Key).ToList();
        if (wrong.Count > 1 && wrong.Select(n => JsonText.Of(row[n])).Order(StringComparer.Ordinal).SequenceEqual(wrong.Select(n => JsonText.Of(before[n])).Order(StringComparer.Ordinal)))
            return;
        if (_mayForget && wrong.TrueForAll(n => IsNothing(before[n])))
            return;
        foreach (var name in wrong)
            Wrong.Add($"{at}.{name}: {JsonText.Of(row[name]) ?? "null"} was reported, {JsonText.Of(before[name]) ?? "null"} is before");
    }
}
