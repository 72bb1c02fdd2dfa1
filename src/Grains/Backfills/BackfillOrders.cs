using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Backfills;

/// <summary>Finds the tables of a backfill that is to be started, and says what is wrong with them.</summary>
internal static class BackfillOrders
{
    /// <summary>Returns the tables of an order, or why there are none.</summary>
    /// <param name="order">The order.</param>
    /// <param name="captured">The tables of the source that are captured.</param>
    /// <param name="source">The source.</param>
    public static (IReadOnlyList<AskedTable> Tables, BackfillRefusal Refusal, string? Detail) Find(
        BackfillOrder order, IReadOnlyList<string> captured, SourceConfiguration source)
    {
        if (order.Keys is not null && (order.Patterns is not [var single] || HasStar(single)))
            return ([], BackfillRefusal.NotPossible, "'keys' is given with several tables. A key belongs to one table: name one table, without '*'.");
        if (order.Keys is not null && order.Where is not null)
            return ([], BackfillRefusal.NotPossible, "'keys' and 'where' are given both. The keys say already which rows are read: leave one of them out.");
        if (order.Keys is { Length: 0 or > BackfillOrder.MostKeys } keys)
            return ([], BackfillRefusal.NotPossible, $"{keys.Length} keys are given; from 1 to {BackfillOrder.MostKeys} are possible. Leave them out for all rows.");
        var tables = new Dictionary<string, AskedTable>(StringComparer.Ordinal);
        foreach (var pattern in order.Patterns)
        {
            // A table that is named and selected, but not captured, is asked for at the source, which says why.
            List<string> matching = [.. captured.Where(t => NamePattern.Matches(pattern, t))];
            if (matching.Count == 0 && (HasStar(pattern) || source.Select(pattern) is null))
                return ([], BackfillRefusal.UnknownTable, Unknown(source, pattern, captured));
            foreach (var table in matching.Count > 0 ? matching : [pattern])
            {
                if (!tables.TryGetValue(table, out var known) || !known.IsNamed)
                    tables[table] = new AskedTable(table, pattern, IsCaptured: matching.Count > 0);
            }
        }

        return ([.. tables.Values.OrderBy(t => t.Table, StringComparer.Ordinal)], default, null);
    }

    /// <summary>Says why rows of a table cannot be read and merged, by its options; null when they can.</summary>
    public static string? Problem(BackfillKind kind, SourceConfiguration source, string table)
    {
        var mode = source.Select(table)?.Entities ?? EntityMode.Row;
        if (mode == EntityMode.Off)
        {
            return $"Rows of {source.Name}.{table} cannot be read beside the stream, because its option is 'entities: off': nothing says whether a row that is read is older than what the log had of it. "
                + "Set 'entities: version' or 'row'.";
        }

        return kind is BackfillKind.Repair or BackfillKind.Verify && mode != EntityMode.Row
            ? $"Rows of {source.Name}.{table} cannot be compared, because its option is 'entities: {mode.ToString().ToLowerInvariant()}': they are not stored. Set 'entities: row', or start a backfill of the kind 'rows'."
            : null;
    }

    /// <summary>Says why rows of a table cannot be read and merged, by what the source says of it; null when they can.</summary>
    public static string? Problem(string source, BackfillPlan plan, IReadOnlyList<string>? keys)
    {
        var name = $"{source}.{plan.Table.FullName}";
        if (plan.Table.InsertsOnly)
            return $"Nothing identifies rows of {name} in the log, so the log has only its inserts, and its rows cannot be told apart. Add a primary key, or set REPLICA IDENTITY FULL and a unique index on columns that are NOT NULL.";
        if (plan.Table.Key.Length == 0)
            return $"{name} has no key, so its rows cannot be told apart. Add a primary key.";
        if (keys is null)
            return null;
        if (plan.Order != ChunkOrder.Key)
            return $"No index of {name} has the columns of its key, so single rows cannot be read. Leave 'keys' out, or create a unique index on them.";
        return keys.Any(k => EntityKeyText.Split(k).Count != plan.Table.Key.Length)
            ? $"A key of {name} has {plan.Table.Key.Length} value(s), separated by commas: {string.Join(", ", plan.Table.Key.Select(k => plan.Table.Columns[k].Name))}. A key that was given has another number of them."
            : null;
    }

    private static string Unknown(SourceConfiguration source, string pattern, IReadOnlyList<string> captured) =>
        $"No captured table of source '{source.Name}' matches '{pattern}'. "
        + (captured.Count == 0
            ? "None is captured yet."
            : $"Write it as schema.table; there are {string.Join(", ", captured.Take(10).Select(t => $"'{t}'"))}{(captured.Count > 10 ? $" and {captured.Count - 10} more" : "")}.");

    private static bool HasStar(string pattern) => pattern.Contains('*', StringComparison.Ordinal);
}

/// <summary>A table that is asked for.</summary>
/// <param name="Table"><c>schema.table</c>.</param>
/// <param name="Pattern">The pattern that matches it.</param>
/// <param name="IsCaptured">Whether it is captured.</param>
internal sealed record AskedTable(string Table, string Pattern, bool IsCaptured)
{
    /// <summary>Whether it is named, and not only matches.</summary>
    public bool IsNamed => Pattern == Table;
}
