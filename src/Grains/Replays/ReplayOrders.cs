using CdcOrleans.Grains.Interfaces.Replays;
using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Grains.Replays;

/// <summary>Finds the tables of a replay that is to be started, and says what is wrong with them.</summary>
internal static class ReplayOrders
{
    /// <summary>Where rows come from that are stored.</summary>
    public const string Held = "held";

    /// <summary>Where past changes come from.</summary>
    public const string Journal = "journal";

    /// <summary>Returns the tables of an order, or why there are none.</summary>
    /// <param name="order">The order.</param>
    /// <param name="known">The tables of the source that the schema store knows.</param>
    /// <param name="configuration">The configuration.</param>
    public static (IReadOnlyList<string> Tables, ReplayRefusal Refusal, string? Detail) Find(
        ReplayOrder order, IReadOnlyList<string> known, PipelineConfiguration configuration)
    {
        var source = configuration.Sources[order.Source];
        var tables = new List<string>();
        foreach (var pattern in order.Patterns)
        {
            List<string> matching = [.. known.Where(t => NamePattern.Matches(pattern, t) && source.Select(t) is not null)];
            if (matching.Count == 0)
                return ([], ReplayRefusal.UnknownTable, Unknown(source, pattern, known));
            List<string> possible = [.. matching.Where(t => Problem(order, source, t, configuration) is null)];
            if (possible.Count == 0)
                return ([], ReplayRefusal.NotReplayable, Problem(order, source, matching[0], configuration)!);
            tables.AddRange(possible.Except(tables).ToList());
        }

        return order.Keys is not null && tables.Count > 1
            ? ([], ReplayRefusal.NotReplayable, $"'keys' was given with {tables.Count} tables ({Names(tables)}). A key belongs to one table: name one table.")
            : (tables, default, null);
    }

    private static string? Problem(ReplayOrder order, SourceConfiguration source, string table, PipelineConfiguration configuration)
    {
        var selection = source.Select(table)!;
        var mode = selection.Entities;
        if (order.Journal is not null && selection.Journal is null)
            return $"{source.Name}.{table} has no journal. Give the table the option 'journal'; changes are kept from then on. Or write 'held', which sends the current rows.";
        if (order.Journal is not null && mode == EntityMode.Off)
        {
            return $"The changes of {source.Name}.{table} cannot be sent again in the order of each row, because its option is 'entities: off'. "
                + "Set 'entities: version' or 'row'.";
        }

        if (order.Journal is null && mode != EntityMode.Row)
        {
            return $"The rows of {source.Name}.{table} are not stored, because its option is 'entities: {mode.ToString().ToLowerInvariant()}'. "
                + "Set 'entities: row'; rows are stored from then on, when they change.";
        }

        var isRouted = configuration.Routes.Any(r => r.To.Contains(order.Sink) && NamePattern.Matches(r.From, $"{source.Name}.{table}"));
        return isRouted ? null : $"No route leads from {source.Name}.{table} to sink '{order.Sink}'. Add one to 'routes', or name another sink.";
    }

    private static string Unknown(SourceConfiguration source, string pattern, IReadOnlyList<string> known)
    {
        List<string> tables = [.. known.Where(t => source.Select(t) is not null)];
        return $"No table of source '{source.Name}' of which rows are stored matches '{pattern}'. "
            + (tables.Count == 0 ? "No rows are stored yet: they are stored when they change." : $"Write it as schema.table; there are {Names(tables)}.");
    }

    private static string Names(List<string> tables) =>
        string.Join(", ", tables.Take(10).Select(t => $"'{t}'")) + (tables.Count > 10 ? $" and {tables.Count - 10} more" : "");
}
