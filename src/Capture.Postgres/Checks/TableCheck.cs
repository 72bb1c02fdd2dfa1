using CdcOrleans.Grains.Interfaces.Configuration;

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
}
