using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using CdcOrleans.Testing;

namespace CdcOrleans.Conformance.Cases;

/// <summary>Compares the events of a case, and the entities in the end, with what is expected.</summary>
internal sealed class Verdict
{
    private readonly List<string> _wrong = [];

    private Verdict()
    {
    }

    /// <summary>What is wrong with the events, and with the entities that the API shows.</summary>
    public static async Task<IReadOnlyList<string>> Of(
        IReadOnlyList<ExpectedTable> expected, IReadOnlyList<TopicRecord> ours, IReadOnlyList<TopicRecord>? theirs, SiloProcess silo, string source)
    {
        var verdict = new Verdict();
        foreach (var table in expected)
        {
            foreach (var key in table.Keys)
            {
                var records = OfKey(ours, table.Table, key.Key);
                verdict.Events($"{table.Table} {key.Key}", key, records);
                if (theirs is not null)
                    verdict.Peer($"{table.Table} {key.Key}", key, records, OfKey(theirs, table.Table, key.Key));
                if (key.Key != "null")
                    await verdict.Entity(table.Table, key, silo, source);
            }

            var keys = table.Keys.Select(k => k.Key).ToHashSet();
            foreach (var other in ours.Where(r => r.Topic == table.Table && !keys.Contains(r.Key ?? "null")))
                verdict._wrong.Add($"{table.Table} {other.Key}: an event of a key that is not expected: {Shown(other.Value)}");
        }

        return verdict._wrong;
    }

    /// <summary>The operations of records, with <c>-</c> for tombstones.</summary>
    public static string Ops(IEnumerable<TopicRecord> records) => string.Concat(records.Select(r => r.Value?["op"]?.GetValue<string>() ?? "-"));

    private static List<TopicRecord> OfKey(IReadOnlyList<TopicRecord> records, string topic, string key) =>
        [.. records.Where(r => r.Topic == topic && (r.Key ?? "null") == key)];

    private void Events(string place, ExpectedKey key, List<TopicRecord> records)
    {
        var ops = string.Concat(key.Events.Select(e => e.Op == "d" && key.Key != "null" ? "d-" : e.Op));
        var found = Ops(records);
        if (key.IsLastOnly ? !found.EndsWith(ops, StringComparison.Ordinal) : found != ops)
        {
            _wrong.Add($"{place}: events {found}, not {ops}: {string.Join(' ', records.Select(r => Shown(r.Value)))}");
            return;
        }

        var values = records.Where(r => r.Value is not null).TakeLast(key.Events.Count).ToList();
        var identity = key.Key == "null" ? null : (JsonObject?)JsonNode.Parse(key.Key);
        JsonNode? row = null;
        foreach (var (index, (expected, record)) in key.Events.Zip(values).Index())
        {
            var at = string.Create(CultureInfo.InvariantCulture, $"{place}[{index}]");
            var value = record.Value!;
            if (!ExpectedValue.Fits(expected.After, value["after"]))
                _wrong.Add($"{at}.after: {Shown(value["after"])}, not {Shown(expected.After)}");
            var before = expected.Before ?? row;
            var isRight = (expected.Op, expected.IsWhole) switch
            {
                ("c", _) => value["before"] is null,
                (_, true) => ExpectedValue.Fits(before, value["before"]),
                _ when key.IsLastOnly && before is null => true,
                ("d", _) => value["before"] is not null && ExpectedValue.FitsBefore(before ?? identity, value["before"], identity),
                _ => ExpectedValue.FitsBefore(before, value["before"], identity),
            };
            if (!isRight)
                _wrong.Add($"{at}.before: {Shown(value["before"])}, not {Shown(before)}");
            row = expected.After;
        }
    }

    private void Peer(string place, ExpectedKey key, List<TopicRecord> ours, List<TopicRecord> theirs)
    {
        var (found, expected) = (Ops(theirs), key.Peer ?? Ops(ours));
        if (found != expected && expected != "any")
            _wrong.Add($"{place}: Debezium has {found}, and {(key.Peer is null ? "we have" : "was expected to have")} {expected}: {string.Join(' ', theirs.Select(r => Shown(r.Value?["after"] ?? r.Value?["before"])))}");
    }

    private async Task Entity(string table, ExpectedKey key, SiloProcess silo, string source)
    {
        var identity = (JsonObject)JsonNode.Parse(key.Key)!;
        var text = string.Join(',', identity.Select(p => (p.Value is JsonValue v && v.TryGetValue<string>(out var s) ? s : p.Value!.ToJsonString())
            .Replace("\\", "\\\\", StringComparison.Ordinal).Replace(",", "\\,", StringComparison.Ordinal)));
        var (status, body) = await silo.Get($"api/v1/entities/{source}/{table}/{Uri.EscapeDataString(text)}");
        var answer = JsonNode.Parse(body.GetRawText())!;
        var isLive = status == HttpStatusCode.OK && answer["deleted"]?.GetValue<bool>() == false;
        var last = key.Events.Count == 0 ? null : key.Events[^1].After;
        if (status != HttpStatusCode.OK && answer["type"]?.GetValue<string>() != "urn:cdcorleans:problem:unknown-entity")
            _wrong.Add($"{table} {key.Key}: the API answers {(int)status} {Shown(answer)}");
        else if (status == HttpStatusCode.NotFound && key.IsDoubted)
            return;
        else if (isLive != (last is not null && !key.IsGone))
            _wrong.Add($"{table} {key.Key}: the API has {(int)status} {Shown(answer)}, and the entity is {(isLive ? "not " : "")}expected to be live");
        else if (isLive && !ExpectedValue.Fits(last, answer["row"]))
            _wrong.Add($"{table} {key.Key}: the API has {Shown(answer["row"])}, not {Shown(last)}");
    }

    private static string Shown(JsonNode? node) => JsonText.Of(node) is { } text ? text.Length > 400 ? $"{text[..400]}…" : text : "null";
}
