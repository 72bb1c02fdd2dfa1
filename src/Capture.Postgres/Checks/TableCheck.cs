using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Capture.Postgres.Checks;

/// <summary>Whether the selected tables exist.</summary>
internal static class TableCheck
{
    /// <summary>Selections of nothing.</summary>
    /// <param name="source">What selects.</param>
    /// <param name="server">The server and our role.</param>
    /// <param name="tables">What is selected.</param>
    /// <param name="known">Selections of nothing now that selected a table before: that one was dropped, and nobody has to do anything.</param>
    public static IEnumerable<string> Findings(SourceConfiguration source, ServerFacts server, SelectedTables tables, IReadOnlySet<string> known) =>
        Unmatched(source, tables).Where(s => !known.Contains(s.Pattern)).Select(s =>
            $"sources.{source.Name}.tables: '{s.Pattern}' selects no table of database {server.Database} "
            + $"that role {server.Role} can see. Ordinary and partitioned tables that are logged can be captured; "
            + "write them as schema.table, in the case in which they were created.");

    /// <summary>Selections of nothing.</summary>
    public static IEnumerable<TableSelection> Unmatched(SourceConfiguration source, SelectedTables tables) =>
        source.Tables.Where(s => !tables.All.Concat(tables.Members).Any(t => NamePattern.Matches(s.Pattern, t.FullName)));

    /// <summary>Selected tables whose names make the same text, so that events and entities could not tell them apart.</summary>
    public static IEnumerable<IReadOnlyList<TableFacts>> Twins(SelectedTables tables) =>
        tables.All.Concat(tables.Members).DistinctBy(t => t.Oid).GroupBy(t => t.FullName).Where(g => g.Count() > 1).Select(g => g.ToList());

    /// <summary>What is said of such tables where none of them was captured before.</summary>
    public static string TwinsFinding(SourceConfiguration source, IReadOnlyList<TableFacts> twins) =>
        $"sources.{source.Name}.tables selects {string.Join(" and ", twins.Select(t => t.SqlName))}, which events and entities could not tell "
        + $"apart: all are {twins[0].FullName}. Rename all but one, or their schemas (ALTER TABLE {twins[^1].SqlName} RENAME TO …;).";

    /// <summary>What is said of one that came beside a table that is captured.</summary>
    public static string TwinLeftOut(SourceConfiguration source, string sqlName, string fullName) =>
        $"table {sqlName} fits sources.{source.Name}.tables and is not captured: events and entities could not tell it from another captured table, "
        + $"as both are {fullName}. Rename it (ALTER TABLE {sqlName} RENAME TO …;) or its schema.";
}
