using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace CdcOrleans.Conformance;

/// <summary>
/// Compares what two peers wrote, key by key and event by event. What differs by its nature (who wrote, when) is left out; what is
/// allowed to differ is listed here, with the options, and in docs/compatibility.md, and nowhere else.
/// </summary>
/// <param name="isRecorded">Whether theirs is from another run: positions, transaction ids and times differ then.</param>
/// <param name="allowed">Values that may differ under the options of this run.</param>
internal sealed class Comparison(bool isRecorded, IReadOnlyList<Allowance> allowed)
{
    private const string Placeholder = "__debezium_unavailable_value";

    // Types that Debezium leaves out of its events unless told otherwise, or gets wrong; columns of them are named after them.
    private static readonly HashSet<string> OnlyOurs =
        ["c_pg_lsn", "c_txid_snapshot", "c_tsquery", "c_composite", "c_name"];

    private readonly List<string> _found = [];

    /// <summary>Differences that are not allowed, each with its place.</summary>
    public static IReadOnlyList<string> Of(
        IReadOnlyList<TopicRecord> theirs, IReadOnlyList<TopicRecord> ours, bool isRecorded, IReadOnlyList<Allowance> allowed)
    {
        var comparison = new Comparison(isRecorded, allowed);
        comparison.Compare(Grouped(theirs), Grouped(ours));
        return comparison._found;
    }

    private static Dictionary<(string Topic, string? Key), List<TopicRecord>> Grouped(IReadOnlyList<TopicRecord> records) =>
        records.GroupBy(r => (r.Topic, r.Key)).ToDictionary(g => g.Key, g => g.ToList());

    private void Compare(Dictionary<(string Topic, string? Key), List<TopicRecord>> theirs, Dictionary<(string Topic, string? Key), List<TopicRecord>> ours)
    {
        foreach (var (place, list) in theirs)
        {
            var name = $"{place.Topic} {place.Key ?? "null"}";
            if (!ours.TryGetValue(place, out var mine))
            {
                _found.Add($"{name}: {list.Count} events that we do not have");
                continue;
            }

            if (list.Count != mine.Count)
            {
                _found.Add($"{name}: {list.Count} events there ({Kinds(list)}), {mine.Count} here ({Kinds(mine)})");
                continue;
            }

            for (var i = 0; i < list.Count; i++)
            {
                var at = string.Create(CultureInfo.InvariantCulture, $"{name}[{i}]");
                if (!list[i].Headers.SequenceEqual(mine[i].Headers))
                    _found.Add($"{at} headers: {string.Join(", ", list[i].Headers)} there, {string.Join(", ", mine[i].Headers)} here");
                Compare(at, list[i].Value, mine[i].Value);
            }
        }

        foreach (var place in ours.Keys.Except(theirs.Keys))
            _found.Add($"{place.Topic} {place.Key ?? "null"}: {ours[place].Count} events that they do not have");
    }

    private static string Kinds(List<TopicRecord> records) => string.Concat(records.Select(r => r.Value?["op"]?.GetValue<string>() ?? "-"));

    private void Compare(string at, JsonNode? theirs, JsonNode? ours)
    {
        if (theirs is null || ours is null)
        {
            if (theirs is not null || ours is not null)
                _found.Add($"{at}: {Shown(theirs)} there, {Shown(ours)} here");
            return;
        }

        var isDelete = ours["op"]?.GetValue<string>() == "d";
        foreach (var field in Names(theirs, ours))
        {
            switch (field)
            {
                case "ts_ms" or "ts_us" or "ts_ns":
                    break;
                case "source":
                    Source($"{at}.source", theirs[field], ours[field]);
                    break;
                case "before" when theirs[field] is null && ours["op"]?.GetValue<string>() == "u":
                    // We tell the row before where we know it.
                    break;
                case "before" when isDelete && theirs[field] is JsonObject && ours[field] is JsonObject:
                    // Theirs has the key, and zeros or nulls elsewhere; ours the row as it was.
                    SameNames($"{at}.before", theirs[field]!, ours[field]!);
                    break;
                default:
                    Row($"{at}.{field}", theirs[field], ours[field]);
                    break;
            }
        }
    }

    private void SameNames(string at, JsonNode theirs, JsonNode ours)
    {
        foreach (var name in Names(theirs, ours).Where(n => !OnlyOurs.Contains(n)))
        {
            if (!theirs.AsObject().ContainsKey(name) || !ours.AsObject().ContainsKey(name))
                _found.Add($"{at}.{name}: only {(ours.AsObject().ContainsKey(name) ? "here" : "there")}");
        }
    }

    private void Source(string at, JsonNode? theirs, JsonNode? ours)
    {
        foreach (var field in Names(theirs!, ours!))
        {
            if (field is "version" or "name")
                continue;
            if (isRecorded && Recording.IsOfOneRun(field))
                continue;
            if (!Equal(theirs![field], ours![field]))
                _found.Add($"{at}.{field}: {Shown(theirs[field])} there, {Shown(ours[field])} here");
        }
    }

    private void Row(string at, JsonNode? theirs, JsonNode? ours)
    {
        if (theirs is not JsonObject || ours is not JsonObject)
        {
            if (!Equal(theirs, ours))
                _found.Add($"{at}: {Shown(theirs)} there, {Shown(ours)} here");
            return;
        }

        foreach (var name in Names(theirs, ours))
        {
            // What they cannot tell, we tell.
            if (OnlyOurs.Contains(name) && theirs[name] is null)
                continue;
            if (theirs[name] is JsonValue value && value.TryGetValue<string>(out var text) && text == Placeholder)
                continue;
            if (theirs.AsObject().ContainsKey(name) != ours.AsObject().ContainsKey(name)
                || (!Equal(theirs[name], ours[name]) && !allowed.Any(a => a(theirs[name], ours[name]))))
                _found.Add($"{at}.{name}: {Shown(theirs[name])} there, {Shown(ours[name])} here");
        }
    }

    private static IEnumerable<string> Names(JsonNode theirs, JsonNode ours) =>
        theirs.AsObject().Select(p => p.Key).Union(ours.AsObject().Select(p => p.Key));

    // Numbers by value: 1.0E10 is 10000000000.0.
    private static bool Equal(JsonNode? theirs, JsonNode? ours)
    {
        if (theirs is JsonValue left && ours is JsonValue right && left.GetValueKind() == JsonValueKind.Number && right.GetValueKind() == JsonValueKind.Number)
            return left.ToJsonString() == right.ToJsonString() || (left.ToJsonString().Any(c => c is '.' or 'E' or 'e') && left.GetValue<double>().Equals(right.GetValue<double>()));
        if (theirs is JsonArray a && ours is JsonArray b)
            return a.Count == b.Count && a.Zip(b).All(p => Equal(p.First, p.Second));
        if (theirs is JsonObject x && ours is JsonObject y)
            return x.Count == y.Count && x.All(p => y.ContainsKey(p.Key) && Equal(p.Value, y[p.Key]));
        return JsonNode.DeepEquals(theirs, ours);
    }

    private static string Shown(JsonNode? node) => node?.ToJsonString() is { } text ? text.Length > 200 ? text[..200] + "…" : text : "null";
}
