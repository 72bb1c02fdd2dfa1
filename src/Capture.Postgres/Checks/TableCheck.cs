using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Capture.Postgres.Checks;

/// <summary>Checks whether the selected tables exist.</summary>
internal static class TableCheck
{
    /// <summary>Returns a finding for each selection that selects no table.</summary>
    /// <param name="source">The configuration of the source.</param>
    /// <param name="server">The server and our role.</param>
    /// <param name="tables">The selected tables.</param>
    /// <param name="known">Patterns of selections whose table was captured before and was dropped. They need no finding.</param>
    public static IEnumerable<string> Findings(SourceConfiguration source, ServerFacts server, SelectedTables tables, IReadOnlySet<string> known) =>
        Unmatched(source, tables).Where(s => !known.Contains(s.Pattern)).Select(s =>
            $"sources.{source.Name}.tables: '{s.Pattern}' selects no table of database {server.Database} "
            + $"that role {server.Role} can see. Ordinary and partitioned tables that are logged can be captured; "
            + "write them as schema.table, in the case in which they were created.");

    /// <summary>Selections that select no table.</summary>
    public static IEnumerable<TableSelection> Unmatched(SourceConfiguration source, SelectedTables tables) =>
        source.Tables.Where(s => !tables.All.Concat(tables.Members).Any(t => NamePattern.Matches(s.Pattern, t.FullName)));

    /// <summary>
    /// Groups of selected tables whose names make the same text, so that their events and entities would have the same name.
    /// </summary>
    public static IEnumerable<IReadOnlyList<TableFacts>> NameClashes(SelectedTables tables) =>
        tables.All.Concat(tables.Members).DistinctBy(t => t.Oid).GroupBy(t => t.FullName).Where(g => g.Count() > 1).Select(g => g.ToList());

    /// <summary>The message for such a group when none of its tables was captured before.</summary>
    public static string NameClashFinding(SourceConfiguration source, IReadOnlyList<TableFacts> clashes) =>
        $"sources.{source.Name}.tables selects {string.Join(" and ", clashes.Select(t => t.SqlName))}, whose names are the same in events and entities: "
        + $"all are {clashes[0].FullName}. Rename all but one, or their schemas (ALTER TABLE {clashes[^1].SqlName} RENAME TO …;).";

    /// <summary>The message for a table that was created later than the captured table of the same name.</summary>
    public static string NameClashLeftOut(SourceConfiguration source, string sqlName, string fullName) =>
        $"table {sqlName} matches sources.{source.Name}.tables but is not captured: in events and entities its name is the same as that of another captured "
        + $"table, {fullName}. Rename it (ALTER TABLE {sqlName} RENAME TO …;) or its schema.";
}
