using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace CdcOrleans.Conformance;

/// <summary>
/// Compares what two peers wrote, key by key and event by event. What differs by its nature (who wrote, when) is left out; what is
/// allowed to differ is listed here, with the options, and in docs/compatibility.md, and nowhere else.
/// </summary>
/// <param name="isRecorded">Whether theirs is from another run: positions, transaction ids and times differ then.</param>
/// <param name="isRestarted">Whether the peers were stopped and started in this run.</param>
/// <param name="allowed">Values that may differ under the options of this run.</param>
internal sealed class Comparison(bool isRecorded, bool isRestarted, IReadOnlyList<Allowance> allowed)
{
    // What stands for a large value that an update did not touch: of text, of bytes, of an array of text.
    private static readonly HashSet<string> Placeholders =
        ["\"__debezium_unavailable_value\"", "\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"", "[\"__debezium_unavailable_value\"]"];

    // Types that Debezium leaves out of its events unless told otherwise, or gets wrong; columns of them are named after them.
    private static readonly HashSet<string> OnlyOurs =
        ["c_pg_lsn", "c_txid_snapshot", "c_tsquery", "c_composite", "c_name"];

    private static readonly JsonSerializerOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly List<string> _found = [];

    /// <summary>Differences that are not allowed, each with its place.</summary>
    public static IReadOnlyList<string> Of(
        IReadOnlyList<TopicRecord> theirs, IReadOnlyList<TopicRecord> ours, bool isRecorded, bool isRestarted, IReadOnlyList<Allowance> allowed)
    {
        var comparison = new Comparison(isRecorded, isRestarted, allowed);
        comparison.CompareTransactions(theirs, ours);
        comparison.Compare(Grouped(theirs), Grouped(ours));
        return comparison._found;
    }

    // In the order of their ids, whatever their keys: those are of one run alone.
    private void CompareTransactions(IReadOnlyList<TopicRecord> theirs, IReadOnlyList<TopicRecord> ours)
    {
        var (there, here) = (Transactions(theirs), Transactions(ours));
        if (there.Count != here.Count)
            _found.Add($"transaction: {there.Count} events there, {here.Count} here");
        foreach (var (their, our) in there.Zip(here))
        {
            foreach (var field in Names(their.Value!, our.Value!))
            {
                if (field == "ts_ms" || (field == "id" && IsIdAllowed(their.Value!)))
                    continue;
                var (left, right) = (Transactional(field, their.Value!), Transactional(field, our.Value!));
                if (!Equal(left, right))
                    _found.Add($"transaction {our.Key}.{field}: {Shown(left)} there, {Shown(right)} here");
            }
        }
    }

    private static List<TopicRecord> Transactions(IReadOnlyList<TopicRecord> records) =>
        [.. records.Where(IsTransaction).OrderBy(r => long.Parse(r.Value!["id"]!.GetValue<string>().Split(':')[0], CultureInfo.InvariantCulture))
            .ThenBy(r => r.Value!["status"]!.GetValue<string>(), StringComparer.Ordinal)];

    // The begin of a transaction with an origin has no position there.
    private bool IsIdAllowed(JsonNode value) => isRecorded || value["id"]!.GetValue<string>().EndsWith(":0", StringComparison.Ordinal);

    // Theirs are in no order, and have an object's address for messages.
    private static JsonNode? Transactional(string field, JsonNode value) => field == "data_collections" && value[field] is JsonArray tables
        ? new JsonArray([.. tables.GroupBy(t => t!["data_collection"]!.GetValue<string>() is var name && name.Contains("LogicalDecodingMessageId@", StringComparison.Ordinal) ? "message" : name)
            .OrderBy(t => t.Key, StringComparer.Ordinal).Select(t => (JsonNode)$"{t.Key}: {t.Sum(n => n!["event_count"]!.GetValue<int>())}")])
        : value[field];

    private static bool IsTransaction(TopicRecord record) => record.Topic == "transaction";

    private static Dictionary<(string Topic, string? Key), List<TopicRecord>> Grouped(IReadOnlyList<TopicRecord> records) =>
        records.Where(r => !IsTransaction(r) && !IsNothing(r) && !IsAnother(r)).GroupBy(r => (r.Topic, r.Key)).ToDictionary(g => g.Key, g => g.ToList());

    private void Compare(Dictionary<(string Topic, string? Key), List<TopicRecord>> theirs, Dictionary<(string Topic, string? Key), List<TopicRecord>> ours)
    {
        foreach (var (place, list) in theirs)
        {
            var name = $"{place.Topic} {Shown(place.Key)}";
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
            _found.Add($"{place.Topic} {Shown(place.Key)}: {ours[place].Count} events that they do not have");
    }

    // A tombstone without a key says nothing, and compacted topics refuse it.
    private static bool IsNothing(TopicRecord record) => record.Key is null && record.Value is null;

    // Tables whose keys differ altogether are named so; docs/compatibility.md says why, and other tests what ours are.
    private static bool IsAnother(TopicRecord record) => record.Topic.StartsWith("public.differs_", StringComparison.Ordinal);

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
                case "transaction" when theirs[field] is JsonObject && ours[field] is JsonObject:
                    Place($"{at}.transaction", theirs, ours);
                    break;
                case "before" when theirs[field] is null && ours["op"]?.GetValue<string>() == "u":
                    // We tell the row before where we know it.
                    break;
                case "before" when isDelete && theirs[field] is JsonObject && ours[field] is JsonObject:
                    // Theirs may have the key alone, and zeros or nulls elsewhere; ours has the row as it was.
                    Row($"{at}.before", theirs[field], ours[field], IsFiller);
                    break;
                default:
                    Row($"{at}.{field}", theirs[field], ours[field]);
                    break;
            }
        }
    }

    private void Place(string at, JsonNode theirs, JsonNode ours)
    {
        foreach (var field in Names(theirs["transaction"]!, ours["transaction"]!))
        {
            // Every message is a collection of its own there.
            if ((field == "id" && isRecorded) || (field == "data_collection_order" && ours["op"]!.GetValue<string>() == "m"))
                continue;
            if (!Equal(theirs["transaction"]![field], ours["transaction"]![field]))
                _found.Add($"{at}.{field}: {Shown(theirs["transaction"]![field])} there, {Shown(ours["transaction"]![field])} here");
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
            // What is in no transaction has the time at which they read it there, that at which the server sent it here.
            if (field is "ts_ms" or "ts_us" or "ts_ns" && theirs!["txId"] is null)
                continue;
            if (field is "sequence" && isRestarted && IsFirstOfStart(ours![field]))
                continue;
            if (!Equal(theirs![field], ours![field]))
                _found.Add($"{at}.{field}: {Shown(theirs[field])} there, {Shown(ours[field])} here");
        }
    }

    // Ours has seen no commit before it; theirs remembers one from before it was stopped. The position itself is compared as lsn.
    private static bool IsFirstOfStart(JsonNode? sequence) => sequence?.GetValue<string>().StartsWith("[null,", StringComparison.Ordinal) == true;

    private void Row(string at, JsonNode? theirs, JsonNode? ours, Func<JsonNode?, bool>? mayBeLeftOut = null)
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
            if (theirs[name] is { } value && Placeholders.Contains(value.ToJsonString()))
                continue;
            var isNamed = theirs.AsObject().ContainsKey(name) == ours.AsObject().ContainsKey(name);
            if (isNamed && mayBeLeftOut?.Invoke(theirs[name]) == true)
                continue;
            if (!isNamed || (!Equal(theirs[name], ours[name]) && !allowed.Any(a => a(theirs[name], ours[name]))))
                _found.Add($"{at}.{name}: {Shown(theirs[name])} there, {Shown(ours[name])} here");
        }
    }

    private static bool IsFiller(JsonNode? value) => value?.ToJsonString() is null or "0" or "0.0" or "\"\"" or "\"0\"" or "\"0.00\"" or "false" or "[]"
        or "\"{}\"" or "\"00:00:00Z\"" or "\"1970-01-01T00:00:00Z\"";

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

    private static string Shown(JsonNode? node) => Shown(node?.ToJsonString(Readable), 300);

    private static string Shown(string? text, int limit = 100) => text is null ? "null" : text.Length > limit ? text[..limit] + "…" : text;
}
