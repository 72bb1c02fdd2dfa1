using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Capture.Postgres.Checks;

/// <summary>Checks whether the publication can be created, or used as it is.</summary>
internal static class PublicationCheck
{
    /// <summary>Returns what is wrong.</summary>
    /// <param name="source">The source.</param>
    /// <param name="server">The server and our role.</param>
    /// <param name="publication">The publication, if it exists.</param>
    /// <param name="slot">The slot, if it exists.</param>
    /// <param name="tables">The selected tables.</param>
    /// <param name="joining">Tables that must be added to the publication.</param>
    public static IEnumerable<string> Findings(
        SourceConfiguration source, ServerFacts server, PublicationFacts? publication, SlotFacts? slot, SelectedTables tables,
        IReadOnlyList<TableFacts> joining)
    {
        var place = $"sources.{source.Name}.postgres.publication";
        if (publication is null && slot is { Plugin: "pgoutput" } && slot.Database == server.Database)
        {
            yield return Gone(place, source);
            yield break;
        }

        var unidentified = joining.Where(t => !MayPublish(t)).ToList();
        if (unidentified.Count > 0)
            yield return Unidentified(source, publication, joining, unidentified);
        var findings = publication is null
            ? Creating(place, source, server, joining)
            : Adopting(place, source, server, publication, tables, [.. joining.Except(unidentified)]);
        foreach (var finding in findings)
            yield return finding;
    }

    /// <summary>
    /// Whether the table can be published without harm. When nothing identifies its rows, the server would refuse every update and delete
    /// of it from then on.
    /// </summary>
    public static bool MayPublish(TableFacts table) => table.IsIdentified || table.IsPartitioned;

    /// <summary>Whether our role can add the table to the publication.</summary>
    public static bool CanAdd(PublicationFacts? publication, TableFacts table) => table.IsOurs && publication is not { IsOurs: false };

    /// <summary>Tables that must be added to the publication so that it carries all selected tables.</summary>
    public static List<TableFacts> Missing(PublicationFacts publication, SelectedTables tables) =>
        [.. tables.Members.Where(t => !publication.Tables.Contains((t.Schema, t.Name)))];

    /// <summary>The message for a selected table that is not in the log.</summary>
    public static string NotLogged(SourceConfiguration source, TableFacts table) =>
        $"table {table.FullName} matches sources.{source.Name}.tables but is not captured: it is unlogged or temporary, so its changes are not in the log.";

    /// <summary>The message for a new table that cannot be captured.</summary>
    public static string LeftOut(SourceConfiguration source, TableFacts table) => MayPublish(table)
        ? $"table {table.FullName} matches sources.{source.Name}.tables but is not captured, because another role owns the table or the publication. "
            + $"As owner of both, run {AddStatement(source.Publication, [table])};"
        : $"table {table.FullName} matches sources.{source.Name}.tables but is not captured: nothing identifies its rows in the log. Once it is "
            + "published, the server refuses to update or delete them. Give it a primary key or REPLICA IDENTITY FULL, or, if rows are only ever "
            + $"inserted, run {AddStatement(source.Publication, [table])};";

    /// <summary>The statement that creates the publication.</summary>
    public static string CreateStatement(SourceConfiguration source, IReadOnlyList<TableFacts> tables) =>
        $"CREATE PUBLICATION {Sql.Name(source.Publication)}{(tables.Count == 0 ? "" : $" FOR TABLE {List(tables)}")}"
        + $" WITH (publish_via_partition_root = {(source.ViaPartitionRoot ? "true" : "false")})";

    /// <summary>The statement that adds tables to the publication.</summary>
    public static string AddStatement(string publication, IEnumerable<TableFacts> tables) =>
        $"ALTER PUBLICATION {Sql.Name(publication)} ADD TABLE {List(tables)}";

    // The server decodes the log with the catalog as it was at each change. For changes that were made while the publication did not exist,
    // servers up to version 17 report an error, and later ones skip them silently.
    private static string Gone(string place, SourceConfiguration source) =>
        $"{place}: publication {source.Publication} does not exist, and slot {source.Slot} does. Changes that were made while the publication "
        + "did not exist, and all changes after them, cannot be read from that slot. Creating the publication again does not help. "
        + $"Run SELECT pg_drop_replication_slot({Sql.Text(source.Slot)});, start the source again to create both, and backfill its tables.";

    private static IEnumerable<string> Creating(string place, SourceConfiguration source, ServerFacts server, IReadOnlyList<TableFacts> joining)
    {
        var foreign = joining.Where(t => !t.IsOurs).ToList();
        if (joining.Count == 0 || (server.MayCreate && foreign.Count == 0))
            yield break;
        var why = server.MayCreate ? $"does not own {Names(foreign)}" : $"may not create objects in database {server.Database}";
        yield return $"{place}: publication {source.Publication} does not exist, and role {server.Role} {why}. "
            + $"As the tables' owner, run {CreateStatement(source, joining)};"
            + (server.MayCreate ? "" : $" or GRANT CREATE ON DATABASE {Sql.Name(server.Database)} TO {Sql.Name(server.Role)};");
    }

    private static IEnumerable<string> Adopting(
        string place, SourceConfiguration source, ServerFacts server, PublicationFacts publication, SelectedTables tables, IReadOnlyList<TableFacts> missing)
    {
        var name = Sql.Name(source.Publication);
        if (!publication.PublishesAll)
        {
            yield return $"{place}: publication {source.Publication} does not publish all of insert, update, delete and truncate. "
                + $"Run ALTER PUBLICATION {name} SET (publish = 'insert, update, delete, truncate');";
        }

        if (publication.ViaRoot != source.ViaPartitionRoot && tables.Members.FirstOrDefault(t => t.IsPartitioned) is { } partitioned)
        {
            yield return $"{place}: publication {source.Publication} publishes changes of {partitioned.FullName} "
                + (publication.ViaRoot ? "under its own name" : "under the names of its partitions")
                + $", and sources.{source.Name}.postgres.publish_via_partition_root says {(source.ViaPartitionRoot ? "true" : "false")}. "
                + $"Run ALTER PUBLICATION {name} SET (publish_via_partition_root = {(source.ViaPartitionRoot ? "true" : "false")}); or change the configuration.";
            yield break;
        }

        if (tables.PartitionsLeftOut.Count > 0)
        {
            yield return $"sources.{source.Name}.tables: changes of {Names(tables.PartitionsLeftOut)} are published under those names, "
                + "and only the partitioned table is selected. Select the partitions too, with '*' for any text.";
        }

        if (missing.All(t => CanAdd(publication, t)))
            yield break;
        var why = publication.IsOurs
            ? $"role {server.Role} does not own {Names(missing.Where(t => !t.IsOurs))}"
            : $"it belongs to role {publication.Owner}";
        yield return $"{place}: publication {source.Publication} lacks {Names(missing)}, and {why}. "
            + $"As owner of both, run {AddStatement(source.Publication, missing)};";
    }

    private static string Unidentified(
        SourceConfiguration source, PublicationFacts? publication, IReadOnlyList<TableFacts> joining, List<TableFacts> unidentified)
    {
        var (first, many) = (unidentified[0].SqlName, unidentified.Count > 1);
        return $"sources.{source.Name}.tables selects {Names(unidentified)}, and nothing identifies {(many ? "their" : "its")} rows in the log: "
            + $"once published, the server refuses to update or delete {(many ? "them" : "such rows")}. "
            + $"Add a primary key (ALTER TABLE {first} ADD PRIMARY KEY (…);), name a unique index on NOT NULL columns "
            + $"(ALTER TABLE {first} REPLICA IDENTITY USING INDEX …;), or log whole rows (ALTER TABLE {first} REPLICA IDENTITY FULL;). "
            + $"If rows are only ever inserted, publish {(many ? "them" : "it")} yourself: "
            + (publication is null ? CreateStatement(source, joining) : AddStatement(source.Publication, unidentified))
            + $"; or remove {(many ? "them" : "it")} from sources.{source.Name}.tables.";
    }

    private static string List(IEnumerable<TableFacts> tables) => string.Join(", ", tables.Select(t => t.SqlName));

    private static string Names(IEnumerable<TableFacts> tables) => string.Join(", ", tables.Select(t => t.FullName));
}
