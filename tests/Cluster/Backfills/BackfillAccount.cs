using System.Globalization;
using System.Text.Json;
using CdcOrleans.Model.Changes;
using Xunit;

namespace CdcOrleans.Cluster.Backfills;

/// <summary>
/// Reads every event that a sink got, in its order, against what was written. Each event of the stream must follow the newest one of its key,
/// or be a repetition; a row that was read may stand for the changes before it. And two copies of the table are made: of the last event of
/// each key, and of the one with the highest version.
/// </summary>
internal sealed class BackfillAccount
{
    private const string Unavailable = "__debezium_unavailable_value";

    private readonly Dictionary<int, int> _newest = [];
    private readonly Dictionary<int, (int N, int TextOf)> _last = [];
    private readonly Dictionary<int, (ChangeVersion Version, int N, int TextOf)> _highest = [];
    private readonly HashSet<int> _read = [];
    private readonly HashSet<(int Id, uint Xid)> _streamed = [];
    private long _rows;
    private long _changes;

    /// <summary>Rows of the backfill that came more than once.</summary>
    public long RepeatedRows => _rows - _read.Count;

    /// <summary>Changes that came more than once.</summary>
    public long RepeatedChanges => _changes - _streamed.Count;

    public long Rows => _rows;

    public long Changes => _changes;

    public static BackfillAccount Of(string path, BackfillLoad load)
    {
        var account = new BackfillAccount();
        using var reader = new StreamReader(path);
        while (reader.ReadLine() is { } line)
        {
            using var document = JsonDocument.Parse(line);
            if (document.RootElement.GetProperty("value").ValueKind != JsonValueKind.Null)
                account.Take(document.RootElement, load);
        }

        return account;
    }

    /// <summary>Asserts that nothing is missing, and that both copies are the table.</summary>
    public void AssertComplete(BackfillLoad load, Dictionary<int, (int N, int TextOf)> table)
    {
        foreach (var (id, history) in load.Histories)
            Assert.True(_newest.GetValueOrDefault(id, -1) == history.Count - 1, $"Row {id}: {history.Count} changes were written, and {_newest.GetValueOrDefault(id, -1) + 1} are known.");
        Same("last", table, _last.Where(l => l.Value.N != Written.Gone).ToDictionary());
        Same("highest", table, _highest.Where(l => l.Value.N != Written.Gone).ToDictionary(l => l.Key, l => (l.Value.N, l.Value.TextOf)));
    }

    private static void Same(string which, Dictionary<int, (int N, int TextOf)> table, Dictionary<int, (int N, int TextOf)> copy)
    {
        var different = table.Keys.Union(copy.Keys).Where(id => !table.TryGetValue(id, out var row) || !copy.TryGetValue(id, out var own) || row != own).Order().ToList();
        Assert.True(
            different.Count == 0,
            $"The {which} events are not the table: {different.Count} rows of {table.Count}. " + string.Join("; ", different.Take(10).Select(id =>
                $"{id}: table {(table.TryGetValue(id, out var row) ? row : "none")}, sink {(copy.TryGetValue(id, out var own) ? own : "none")}")));
    }

    private void Take(JsonElement line, BackfillLoad load)
    {
        var id = line.GetProperty("key").GetProperty("id").GetInt32();
        var headers = line.GetProperty("headers");
        var version = ChangeVersion.Parse(headers.GetProperty("cdc.version").GetString()!);
        var isRead = headers.GetProperty("cdc.origin").GetString() == "backfill";
        var value = line.GetProperty("value");
        var after = value.GetProperty("after");
        var isGone = after.ValueKind == JsonValueKind.Null;
        var (n, text) = isGone ? (Written.Gone, 0) : (after.GetProperty("n").GetInt32(), TextOf(after.GetProperty("t").GetString()!));
        var history = load.Histories.GetValueOrDefault(id, []);
        var newest = _newest.GetValueOrDefault(id, -1);
        int place;
        if (!isRead)
        {
            var xid = value.GetProperty("source").GetProperty("txId").GetUInt32();
            place = history.FindIndex(w => w.Xid == xid);
            Assert.True(place >= 0 && place <= newest + 1, $"Row {id}: change {place} of {history.Count} came after {newest}, version {version}.");
            Assert.Equal(history[place].N, n);
            _changes++;
            _streamed.Add((id, xid));
        }
        else
        {
            place = n == 0 ? -1 : isGone ? history.FindIndex(Math.Max(0, newest), w => w.N == Written.Gone) : history.FindIndex(w => w.N == n);
            Assert.True(n == 0 || place >= 0, $"Row {id}: a row was read that was never written, n = {n}, version {version}.");
            Assert.True(place >= newest, $"Row {id}: a row of change {place} was read after change {newest} had come, version {version}.");
            _rows++;
            _read.Add(id);
        }

        if (!isGone && text != Missing)
            Assert.Equal(place < 0 ? 0 : history[place].TextOf, text);
        _newest[id] = Math.Max(newest, place);
        _last[id] = (n, text);
        if (!_highest.TryGetValue(id, out var known) || version >= known.Version)
            _highest[id] = (version, n, text);
    }

    private const int Missing = -2;

    private static int TextOf(string text) =>
        text == Unavailable ? Missing : int.Parse(text.AsSpan(0, text.IndexOf(':', StringComparison.Ordinal)), CultureInfo.InvariantCulture);
}
