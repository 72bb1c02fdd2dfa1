namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>What is said of tables that cannot be captured for want of a key.</summary>
internal static class TablesWithoutKey
{
    /// <summary>The finding, with its remedy.</summary>
    public static string Finding(string source, IReadOnlyList<(string Schema, string Name)> tables)
    {
        var names = string.Join(", ", tables.Select(t => $"{t.Schema}.{t.Name}"));
        var (schema, name) = tables[0];
        var table = Sql.Name(schema, name);
        return $"sources.{source}.tables selects {names}, which {(tables.Count == 1 ? "has" : "have")} no key that identifies a row in the log. "
            + $"Add a primary key (ALTER TABLE {table} ADD PRIMARY KEY (…); with its default replica identity), "
            + $"or name a unique index on NOT NULL columns (ALTER TABLE {table} REPLICA IDENTITY USING INDEX …;), "
            + "or list the tables under sources." + source + ".tables explicitly, without it.";
    }
}
