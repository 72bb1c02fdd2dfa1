using System.Text;
using System.Text.Json;
using CdcOrleans.Grains.Interfaces.Operations;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Operations;

/// <summary>Shows changes of a journal: the row after each, and what it changed.</summary>
/// <param name="rows">Writes rows as JSON.</param>
/// <param name="values">How values of the table are written.</param>
internal sealed class HistoryView(IRowFormatter rows, ValueOptions values)
{
    /// <summary>Shows a change.</summary>
    public HistoryEntry Show(JournalEntry entry)
    {
        try
        {
            return Show(entry, entry.Row.After.IsPresent ? rows.ToJson(entry.Row.Change.Table, entry.Row.After, values) : null);
        }
        catch (InvalidDataException)
        {
            // What is stored of one change is damaged. The others are shown.
            var change = new JournalRow { Change = entry.Row.Change with { OtherRow = default } };
            return Show(new JournalEntry(entry.Position, change), null) with { RowAbsence = RowAbsence.Unreadable };
        }
    }

    private HistoryEntry Show(JournalEntry entry, string? after)
    {
        var row = entry.Row;
        return new HistoryEntry
        {
            Position = entry.Position.ToString(),
            Version = row.Change.Version,
            CommittedAt = DateTimeOffset.UnixEpoch.AddMicroseconds(row.Change.Transaction.CommitMicros),
            Xid = row.Change.Transaction.Xid,
            Operation = row.Change.Operation,
            SchemaVersion = row.Change.Table.Version,
            Row = after,
            Differences = Differences(row, after),
            OtherKey = OtherKey(row.Change),
            RowAbsence = row.IsTooLarge ? RowAbsence.TooLarge : RowAbsence.None,
        };
    }

    // A creation has everything in its row, and a truncation changes no column.
    private ColumnDifference[]? Differences(JournalRow row, string? after)
    {
        if (row.Change.Operation is ChangeOperation.Create or ChangeOperation.Read or ChangeOperation.Truncate)
            return [];
        if (row.BeforeTable is not { } table || !row.Before.IsPresent)
            return null;
        using var before = JsonDocument.Parse(rows.ToJson(table, row.Before, values));
        if (row.Change.Operation == ChangeOperation.Delete)
        {
            return [.. table.Columns
                .Where((_, i) => !row.BeforeIsKeyOnly || table.Key.Contains(i))
                .Select(c => new ColumnDifference(c.Name, ValueOf(before, c), null))];
        }

        if (after is null)
            return null;
        using var now = JsonDocument.Parse(after);
        return [.. Changed(row, table).Select(c => new ColumnDifference(c.Now.Name, c.Before is null ? null : ValueOf(before, c.Before), ValueOf(now, c.Now)))];
    }

    // The columns whose values differ. One that the log marks as unchanged did not change, although its value is not known. One that did not
    // exist before has changed if it has a value now.
    private static IEnumerable<(ColumnSchema Now, ColumnSchema? Before)> Changed(JournalRow row, TableSchema beforeTable)
    {
        var table = row.Change.Table;
        var (before, after) = (Places(row.Before), Places(row.After));
        for (var i = 0; i < Math.Min(table.Columns.Length, after.Count); i++)
        {
            if (after[i].Kind == ColumnKind.Unchanged)
                continue;
            var place = ReferenceEquals(table, beforeTable) ? i : ColumnMatch.ForRows.PlaceOf(table, i, beforeTable);
            if (place < 0 || place >= before.Count)
            {
                if (after[i].Kind != ColumnKind.Null)
                    yield return (table.Columns[i], null);
                continue;
            }

            if (before[place].Kind != after[i].Kind || !Text(row.Before, before[place]).SequenceEqual(Text(row.After, after[i])))
                yield return (table.Columns[i], beforeTable.Columns[place]);
        }
    }

    private static ReadOnlySpan<byte> Text(RowImage row, (ColumnKind Kind, int Start, int Length) place) => row.Bytes.Slice(place.Start, place.Length);

    private static List<(ColumnKind Kind, int Start, int Length)> Places(RowImage row)
    {
        var places = new List<(ColumnKind, int, int)>(row.ColumnCount);
        var reader = row.GetEnumerator();
        while (reader.MoveNext())
            places.Add((reader.Kind, reader.TextStart, reader.TextLength));
        return places;
    }

    private static string? ValueOf(JsonDocument row, ColumnSchema column) =>
        row.RootElement.TryGetProperty(column.Name, out var value) ? value.GetRawText() : null;

    // The key of the row that a change of the key belongs to besides; null when the row does not have all of its key.
    private static string? OtherKey(RowChange change)
    {
        if (!change.OtherRow.IsPresent || change.Table.Key.Length == 0)
            return null;
        var places = Places(change.OtherRow);
        var key = new string?[change.Table.Key.Length];
        for (var i = 0; i < key.Length; i++)
        {
            var place = change.Table.Key[i];
            if (place >= places.Count || places[place].Kind is not (ColumnKind.Text or ColumnKind.Null))
                return null;
            key[i] = places[place].Kind == ColumnKind.Null ? null : Encoding.UTF8.GetString(Text(change.OtherRow, places[place]));
        }

        return EntityKeyText.Join(key);
    }
}
