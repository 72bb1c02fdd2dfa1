using CdcOrleans.Capture.Postgres.Schemas;
using CdcOrleans.Grains.Interfaces.Configuration;

namespace CdcOrleans.Capture.Postgres.Checks;

/// <summary>Whether the selected tables exist and can be captured.</summary>
internal static class TableCheck
{
    public static IEnumerable<string> Findings(SourceConfiguration source, ServerFacts server, IReadOnlyList<TableFacts> tables)
    {
        foreach (var selection in source.Tables)
        {
            if (!tables.Any(t => NamePattern.Matches(selection.Pattern, t.FullName)))
            {
                yield return $"sources.{source.Name}.tables: '{selection.Pattern}' selects no table of database {server.Database} "
                    + $"that role {server.Role} can see. Ordinary and partitioned tables that are logged can be captured; "
                    + "write them as schema.table, in the case in which they were created.";
            }
        }

        var withoutKey = tables.Where(t => !t.HasKey).Select(t => (t.Schema, t.Name)).ToList();
        if (withoutKey.Count > 0)
            yield return TablesWithoutKey.Finding(source.Name, withoutKey);
    }
}
