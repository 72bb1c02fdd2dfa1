using System.Globalization;
using System.Text.Json.Nodes;

namespace CdcOrleans.Conformance;

/// <summary>What decides how two peers' events are compared.</summary>
/// <param name="IsRecorded">Whether theirs is from another run: positions, transaction ids and times differ then.</param>
/// <param name="IsRestarted">Whether the peers were stopped and started in this run.</param>
/// <param name="HasEntities">
/// Whether we store rows, so that our events may have more than the log; without them our events are exactly those of the peer.
/// </param>
/// <param name="SkipsUpdates">Whether updates make no events, so that events do not show the row before.</param>
/// <param name="MayForget">Whether tables are altered, so that our events may have less than was reported before.</param>
/// <param name="Whole">Topics of tables with REPLICA IDENTITY FULL.</param>
/// <param name="Allowed">Values that may differ under the options of this run.</param>
internal sealed record Terms(
    bool IsRecorded, bool IsRestarted, bool HasEntities, bool SkipsUpdates, bool MayForget, IReadOnlySet<string> Whole, IReadOnlyList<Allowance> Allowed);

/// <summary>
/// Compares what two peers wrote, key by key and event by event. What differs by its nature (who wrote, when) is left out; what is
/// allowed to differ is listed here, with the options, and in docs/compatibility.md, and nowhere else.
/// </summary>
internal sealed class Comparison(Terms terms)
{
    // Types that Debezium leaves out of its events by default, or writes wrongly. Columns of these types have their names.
    private static readonly HashSet<string> OnlyOurs =
        ["c_pg_lsn", "c_txid_snapshot", "c_tsquery", "c_composite", "c_name"];

    private readonly List<string> _found = [];
    private KnownRows _known = null!;

    /// <summary>Differences that are not allowed, each with its place.</summary>
    public static IReadOnlyList<string> Of(IReadOnlyList<TopicRecord> theirs, IReadOnlyList<TopicRecord> ours, Terms terms)
    {
        var comparison = new Comparison(terms);
        var (there, here) = (Grouped(theirs), Grouped(ours));
        comparison._known = new KnownRows(here, terms.MayForget);
        if (terms is { HasEntities: true, SkipsUpdates: false })
            comparison._found.AddRange(comparison._known.Wrong);
        comparison.CompareTransactions(theirs, ours);
        comparison.Compare(there, here);
        comparison.CompareMarks(theirs, ours);
        return comparison._found;
    }

    // In the order of their ids, whatever their keys, because the keys are different in each run.
    private void CompareTransactions(IReadOnlyList<TopicRecord> theirs, IReadOnlyList<TopicRecord> ours)
    {
        var (there, here) = (Transactions(theirs), Transactions(ours));
        if (there.Count != here.Count)
            _found.Add($"transaction: {there.Count} events there, {here.Count} here");
        foreach (var (their, our) in there.Zip(here))
        {
            // The key has only the id of the transaction.
            foreach (var record in new[] { their, our })
            {
                if (record.Key != new JsonObject { ["id"] = record.Value!["id"]!.DeepClone() }.ToJsonString())
                    _found.Add($"transaction: key {record.Key} of id {Shown(record.Value!["id"])} {(record == our ? "here" : "there")}");
            }

            foreach (var field in Names(their.Value!, our.Value!))
            {
                var isOfOneRun = field == "ts_ms" || (field == "id" && IsIdAllowed(their.Value!));
                if (isOfOneRun && (terms.IsRecorded || AreNamed(field, their.Value!, our.Value!)))
                    continue;
                var (left, right) = (Transactional(field, their.Value!), Transactional(field, our.Value!));
                if (!JsonText.Equal(left, right))
                    _found.Add($"transaction {our.Key}.{field}: {Shown(left)} there, {Shown(right)} here");
            }
        }
    }

    // The rows of a table are in no order there, and so are the tables. So the places of single rows differ.
    private void CompareMarks(IReadOnlyList<TopicRecord> theirs, IReadOnlyList<TopicRecord> ours)
    {
        var (there, here) = (Marks(theirs), Marks(ours));
        if (there != here)
            _found.Add($"source.snapshot: {there} there, {here} here");

        static string Marks(IReadOnlyList<TopicRecord> records) => string.Join(", ", records.Where(r => !IsAnother(r) && IsRead(r.Value))
            .CountBy(r => r.Value!["source"]!["snapshot"]!.GetValue<string>()).OrderBy(m => m.Key, StringComparer.Ordinal).Select(m => $"{m.Key} {m.Value}"));
    }

    private static bool IsRead(JsonNode? value) => value?["op"]?.GetValue<string>() == "r";

    private static List<TopicRecord> Transactions(IReadOnlyList<TopicRecord> records) =>
        [.. records.Where(IsTransaction).OrderBy(r => long.Parse(r.Value!["id"]!.GetValue<string>().Split(':')[0], CultureInfo.InvariantCulture))
            .ThenBy(r => r.Value!["status"]!.GetValue<string>(), StringComparer.Ordinal)];

    // The begin of a transaction with an origin has no position there.
    private bool IsIdAllowed(JsonNode value) => terms.IsRecorded || value["id"]!.GetValue<string>().EndsWith(":0", StringComparison.Ordinal);

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
                Compare(at, list[i], mine[i]);
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

    private void Compare(string at, TopicRecord their, TopicRecord our)
    {
        var (theirs, ours) = (their.Value, our.Value);
        if (theirs is null || ours is null)
        {
            if (theirs is not null || ours is not null)
                _found.Add($"{at}: {Shown(theirs)} there, {Shown(ours)} here");
            return;
        }

        foreach (var field in Names(theirs, ours))
        {
            switch (field)
            {
                case "ts_ms" or "ts_us" or "ts_ns":
                    if (!terms.IsRecorded && !AreNamed(field, theirs, ours))
                        _found.Add($"{at}.{field}: {Shown(theirs[field])} there, {Shown(ours[field])} here");
                    break;
                case "source":
                    Source($"{at}.source", theirs[field]!, ours[field]!, IsRead(theirs));
                    break;
                case "transaction" when theirs[field] is JsonObject && ours[field] is JsonObject:
                    Place($"{at}.transaction", theirs, ours);
                    break;
                case "before" when terms.HasEntities && theirs[field] is null && ours["op"]?.GetValue<string>() == "u":
                    // Our events have the row before when it is stored; KnownRows checks whether it is right.
                    break;
                case "before" when terms.HasEntities && _known.Knows(our) && !terms.Whole.Contains(our.Topic):
                    // Theirs may have only the key, and defaults, zeros or nulls elsewhere; ours has the row as it was.
                    var key = our.Key is null ? [] : JsonNode.Parse(our.Key)!.AsObject().Select(p => p.Key).ToHashSet();
                    Row($"{at}.before", our, theirs[field], ours[field], name => !key.Contains(name));
                    break;
                default:
                    Row($"{at}.{field}", our, theirs[field], ours[field]);
                    break;
            }
        }
    }

    private void Place(string at, JsonNode theirs, JsonNode ours)
    {
        foreach (var field in Names(theirs["transaction"]!, ours["transaction"]!))
        {
            // Every message is a collection of its own there.
            if ((field == "id" && terms.IsRecorded) || (field == "data_collection_order" && ours["op"]!.GetValue<string>() == "m"))
                continue;
            if (!JsonText.Equal(theirs["transaction"]![field], ours["transaction"]![field]))
                _found.Add($"{at}.{field}: {Shown(theirs["transaction"]![field])} there, {Shown(ours["transaction"]![field])} here");
        }
    }

    private void Source(string at, JsonNode theirs, JsonNode ours, bool isRead)
    {
        foreach (var field in Names(theirs, ours))
        {
            if (terms.IsRecorded && Recording.IsOfOneRun(field))
                continue;
            if (isRead && field is "snapshot" or "txId" or "lsn" or "sequence")
            {
                CompareRead(at, field, theirs, ours);
                continue;
            }

            // What is in no transaction has the time at which they read it there, that at which the server sent it here.
            var isOwn = field is "version" or "name" || (isRead && field is "ts_ms" or "ts_us" or "ts_ns") || (field is "ts_ms" or "ts_us" or "ts_ns" && theirs["txId"] is null)
                || (field is "sequence" && terms.IsRestarted && IsFirstOfStart(ours[field]));
            if (isOwn ? !AreNamed(field, theirs, ours) : !JsonText.Equal(theirs[field], ours[field]))
                _found.Add($"{at}.{field}: {Shown(theirs[field])} there, {Shown(ours[field])} here");
        }
    }

    // Each peer reads a row at another time. Theirs names the transaction that reads the first snapshot, and in an incremental one no position.
    private void CompareRead(string at, string field, JsonNode theirs, JsonNode ours)
    {
        if (!AreNamed(field, theirs, ours))
            _found.Add($"{at}.{field}: {Shown(theirs[field])} there, {Shown(ours[field])} here");
        else if (field == "txId" && ours[field] is not null)
            _found.Add($"{at}.{field}: {Shown(ours[field])} here, though no transaction changed the row");
        else if (field == "sequence" && ours[field]!.GetValue<string>() != $"[null,\"{ours["lsn"]}\"]")
            _found.Add($"{at}.{field}: {Shown(ours[field])} here with the lsn {Shown(ours["lsn"])}");
    }

    // Ours has seen no commit before it; theirs remembers one from before it was stopped. The position itself is compared as lsn.
    private static bool IsFirstOfStart(JsonNode? sequence) => sequence?.GetValue<string>().StartsWith("[null,", StringComparison.Ordinal) == true;

    private void Row(string at, TopicRecord our, JsonNode? theirs, JsonNode? ours, Func<string, bool>? mayBeLeftOut = null)
    {
        if (theirs is not JsonObject || ours is not JsonObject)
        {
            if (!JsonText.Equal(theirs, ours))
                _found.Add($"{at}: {Shown(theirs)} there, {Shown(ours)} here");
            return;
        }

        foreach (var name in Names(theirs, ours))
        {
            // Our events have values that theirs lack.
            if (OnlyOurs.Contains(name) && theirs[name] is null)
                continue;
            var isNamed = theirs.AsObject().ContainsKey(name) == ours.AsObject().ContainsKey(name);
            if (isNamed && mayBeLeftOut?.Invoke(name) == true)
                continue;
            if (isNamed && JsonText.Equal(theirs[name], ours[name]))
                continue;
            if (isNamed && IsUnavailable(our, theirs[name]) && (terms.HasEntities ? _known.IsLastKnown(our, name, ours[name]) : JsonText.IsPlaceholder(ours[name])))
                continue;
            if (!isNamed || !terms.Allowed.Any(a => a(new Difference(name, theirs[name], ours[name], ours))))
                _found.Add($"{at}.{name}: {Shown(theirs[name])} there, {Shown(ours[name])} here");
        }
    }

    // Without entities, placeholders are the same. For some types Debezium has no placeholder; the table with these types has this name.
    private bool IsUnavailable(TopicRecord our, JsonNode? theirs) =>
        (terms.HasEntities && JsonText.IsPlaceholder(theirs)) || (our.Topic == "public.formless" && theirs is null);

    private static bool AreNamed(string field, JsonNode theirs, JsonNode ours) => theirs.AsObject().ContainsKey(field) && ours.AsObject().ContainsKey(field);

    private static IEnumerable<string> Names(JsonNode theirs, JsonNode ours) =>
        theirs.AsObject().Select(p => p.Key).Union(ours.AsObject().Select(p => p.Key));

    private static string Shown(JsonNode? node) => Shown(JsonText.Of(node), 300);

    private static string Shown(string? text, int limit = 100) => text is null ? "null" : text.Length > limit ? text[..limit] + "…" : text;
}
