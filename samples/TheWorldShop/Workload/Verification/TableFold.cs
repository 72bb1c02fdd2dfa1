using System.Globalization;
using System.Text.Json;

namespace CdcOrleans.Samples.TheWorldShop.Verification;

/// <summary>What a consumer of one topic would hold after reading all its events in order, and what it noticed on the way.</summary>
internal sealed class TableFold(string source, ShopTable table)
{
    /// <summary>What stands for a value that a capture could not know; also as base64, for binary columns.</summary>
    private static readonly string[] Placeholders = ["__debezium_unavailable_value", "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="];

    private readonly Dictionary<string, Row> _rows = new(StringComparer.Ordinal);

    private sealed class Row
    {
        /// <summary>The row in JSON; null once deleted.</summary>
        public string? After { get; set; }

        /// <summary>Whether an event had the whole row.</summary>
        public bool IsKnown { get; set; }

        /// <summary>Key as the first event had it, for people.</summary>
        public required string KeyText { get; init; }

        /// <summary>Versions seen, ascending.</summary>
        public List<EventVersion> Versions { get; } = [];

        /// <summary>The last comparison that met it in the database.</summary>
        public int Met { get; set; }
    }

    private int _comparison;

    public ShopTable Table => table;

    public long Events { get; private set; }

    /// <summary>Events of rows that were read, and not changed.</summary>
    public long Reads { get; private set; }

    /// <summary>Events without a large value that the log left out, before any event of the row had it.</summary>
    public long Incomplete { get; private set; }

    public long Tombstones { get; private set; }

    public long Duplicates { get; private set; }

    public long WithoutKey { get; private set; }

    /// <summary>What must not be, in words, each with the key it was seen at.</summary>
    public Findings Faults { get; } = new();

    public int Keys => _rows.Count;

    public int DeletedKeys => _rows.Values.Count(r => r.After is null);

    /// <summary>Takes the next event of the topic.</summary>
    public void Apply(in DeliveredEvent e)
    {
        if (e.Value is null)
        {
            Tombstones++;
            return;
        }

        Events++;
        var (operation, after) = Open(e.Value);
        if (operation is "t")
        {
            foreach (var row in _rows.Values)
                row.After = null;
            return;
        }

        if (operation is "m")
            return;
        if (e.Key is null)
        {
            WithoutKey++;
            return;
        }

        if (operation is not ("c" or "u" or "r" or "d") || (operation is not "d" && after is null))
        {
            Faults.Add($"is no change event (op '{operation}'): key {e.Key}");
            return;
        }

        var known = Find(e.Key);
        CheckPlaceholder(known, e);
        if (operation is "r")
            Reads++;
        CheckOrder(known, e, operation is "r");
        known.After = operation is "d" ? null : after;
        known.IsKnown |= after is not null && !HasPlaceholder(after);
    }

    /// <summary>Compares with the table's rows now; unless <paramref name="changesOnly"/>, a row without events differs too.</summary>
    public async Task<TableComparison> Compare(IAsyncEnumerable<string?[]> rows, bool changesOnly)
    {
        _comparison++;
        var result = new TableComparison(table);
        var key = table.Key.Select(k => Array.IndexOf(table.Columns, k)).ToArray();
        await foreach (var row in rows)
        {
            result.Rows++;
            if (key.Length == 0)
                continue;
            if (!_rows.TryGetValue(KeyOf(key.Select(i => row[i])), out var known))
            {
                result.RowsWithoutEvents++;
                if (!changesOnly)
                    result.Differences.Add($"no event for key {Describe(key, row)}");
                continue;
            }

            known.Met = _comparison;
            if (known.After is null)
                result.Differences.Add($"deleted in the events, present in the table: key {known.KeyText}");
            else if (DifferentColumns(known.After, row) is { Count: > 0 } columns)
                result.Differences.Add($"{string.Join(", ", columns)} differ: key {known.KeyText}");
        }

        foreach (var left in _rows.Values.Where(r => r.Met != _comparison && r.After is not null))
            result.Differences.Add($"present in the events, not in the table: key {left.KeyText}");
        return result;
    }

    private static bool HasPlaceholder(string value) => Placeholders.Any(p => value.Contains(p, StringComparison.Ordinal));

    // The log leaves large values out that an update does not touch. Before a backfill has read the row, nobody knows them.
    private void CheckPlaceholder(Row row, in DeliveredEvent e)
    {
        if (!HasPlaceholder(e.Value!))
            return;
        if (row.After is null ? row.IsKnown : !HasPlaceholder(row.After))
            Faults.Add($"carries the placeholder of a value that an earlier event had: key {e.Key}");
        else
            Incomplete++;
    }

    /// <summary>A version may come again after later ones only as a duplicate. A consumer applies duplicates too, and so does the fold.</summary>
    private void CheckOrder(Row row, in DeliveredEvent e, bool isRead)
    {
        if (!EventVersion.TryParse(e.Version, out var version))
        {
            Faults.Add($"has no readable cdc.version header: key {e.Key}");
            return;
        }

        var id = $"{source}:{e.Version![..e.Version!.LastIndexOf('/')]}:{version.Ordinal}";
        if (isRead && e.Id?.StartsWith(id + ":", StringComparison.Ordinal) == true
            && long.TryParse(e.Id.AsSpan(id.Length + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var chunk))
            version = version with { Chunk = chunk };
        else if (e.Id != id)
            Faults.Add($"cdc.id and cdc.version do not belong together: key {e.Key}");
        if (row.Versions.Count == 0 || version.CompareTo(row.Versions[^1]) > 0)
            row.Versions.Add(version);
        else if (row.Versions.BinarySearch(version) >= 0)
            Duplicates++;
        else if (version.Chunk > 0 && row.Versions.Exists(v => v.Chunk > 0))
            Duplicates++; // After a crash, a chunk is read again, under another number.
        else
            Faults.Add($"version goes back from {row.Versions[^1]} to {version}: key {e.Key}");
    }

    private Row Find(string keyJson)
    {
        using var key = JsonDocument.Parse(keyJson);
        var text = KeyOf(table.Key.Select(column =>
            key.RootElement.ValueKind == JsonValueKind.Object && key.RootElement.TryGetProperty(column.Name, out var value)
                ? CanonicalValues.FromEvent(column, value)
                : null));
        if (!_rows.TryGetValue(text, out var row))
            _rows.Add(text, row = new Row { KeyText = keyJson });
        return row;
    }

    private List<string> DifferentColumns(string after, string?[] row)
    {
        using var image = JsonDocument.Parse(after);
        var different = new List<string>();
        for (var i = 0; i < row.Length; i++)
        {
            var column = table.Columns[i];
            if (column.Kind == ColumnKind.Unknown)
                continue;
            // A column added since the event may be absent where it is null.
            var value = image.RootElement.TryGetProperty(column.Name, out var element) ? CanonicalValues.FromEvent(column, element) : null;
            if (value != row[i])
                different.Add(column.Name);
        }

        return different;
    }

    private static (string? Operation, string? After) Open(string value)
    {
        using var json = JsonDocument.Parse(value);
        if (json.RootElement.ValueKind != JsonValueKind.Object)
            return (null, null);
        var operation = json.RootElement.TryGetProperty("op", out var op) ? op.ToString() : null;
        var after = json.RootElement.TryGetProperty("after", out var image) && image.ValueKind == JsonValueKind.Object ? image.GetRawText() : null;
        return (operation, after);
    }

    private static string KeyOf(IEnumerable<string?> values) => JsonSerializer.Serialize(values);

    private string Describe(int[] key, string?[] row) =>
        JsonSerializer.Serialize(key.ToDictionary(i => table.Columns[i].Name, i => row[i]));
}

/// <summary>How a table and the fold of its events compare.</summary>
internal sealed class TableComparison(ShopTable table)
{
    public ShopTable Table => table;

    public long Rows { get; set; }

    public long RowsWithoutEvents { get; set; }

    public Findings Differences { get; } = new();
}

/// <summary>Counts what was found and keeps the first few to show.</summary>
internal sealed class Findings
{
    private const int Shown = 5;
    private readonly List<string> _first = [];

    public long Count { get; private set; }

    public IReadOnlyList<string> First => _first;

    public void Add(string finding)
    {
        Count++;
        if (_first.Count < Shown)
            _first.Add(finding);
    }
}
