using CdcOrleans.Grains.Interfaces.Configuration;

namespace CdcOrleans.Capture.Postgres.Checks;

/// <summary>Whether the publication can be created, or adopted as it is.</summary>
internal static class PublicationCheck
{
    public static IEnumerable<string> Findings(
        SourceConfiguration source, ServerFacts server, PublicationFacts? publication, IReadOnlyList<TableFacts> tables)
    {
        var place = $"sources.{source.Name}.postgres.publication";
        return publication is null ? Creating(place, source, server, tables) : Adopting(place, source, server, publication, tables);
    }

    /// <summary>Selected tables that the publication lacks.</summary>
    public static List<TableFacts> Missing(PublicationFacts publication, IReadOnlyList<TableFacts> tables) =>
        [.. tables.Where(t => !publication.Tables.Contains((t.Schema, t.Name)))];

    /// <summary>The statement that creates the publication.</summary>
    public static string CreateStatement(string publication, IEnumerable<TableFacts> tables) =>
        $"CREATE PUBLICATION {Sql.Name(publication)} FOR TABLE {List(tables)} WITH (publish_via_partition_root = true)";

    /// <summary>The statement that adds tables to the publication.</summary>
    public static string AddStatement(string publication, IEnumerable<TableFacts> tables) =>
        $"ALTER PUBLICATION {Sql.Name(publication)} ADD TABLE {List(tables)}";

    private static IEnumerable<string> Creating(string place, SourceConfiguration source, ServerFacts server, IReadOnlyList<TableFacts> tables)
    {
        var foreign = tables.Where(t => !t.IsOurs).ToList();
        if (tables.Count == 0 || (server.MayCreate && foreign.Count == 0))
            yield break;
        var why = server.MayCreate ? $"does not own {Names(foreign)}" : $"may not create objects in database {server.Database}";
        yield return $"{place}: publication {source.Publication} does not exist, and role {server.Role} {why}. "
            + $"As the tables' owner, run {CreateStatement(source.Publication, tables)};"
            + (server.MayCreate ? "" : $" or GRANT CREATE ON DATABASE {Sql.Name(server.Database)} TO {Sql.Name(server.Role)};");
    }

    private static IEnumerable<string> Adopting(
        string place, SourceConfiguration source, ServerFacts server, PublicationFacts publication, IReadOnlyList<TableFacts> tables)
    {
        var name = Sql.Name(source.Publication);
        if (!publication.PublishesRows)
        {
            yield return $"{place}: publication {source.Publication} does not publish all of insert, update and delete. "
                + $"Run ALTER PUBLICATION {name} SET (publish = 'insert, update, delete, truncate');";
        }

        var partitioned = tables.Where(t => t.IsPartitioned).ToList();
        if (partitioned.Count > 0 && !publication.ViaRoot)
        {
            yield return $"{place}: publication {source.Publication} publishes changes of {Names(partitioned)} under the names of partitions. "
                + $"Run ALTER PUBLICATION {name} SET (publish_via_partition_root = true);";
            tables = [.. tables.Where(t => !t.IsPartitioned)];
        }

        var missing = Missing(publication, tables);
        if (missing.Count == 0 || (publication.IsOurs && missing.All(t => t.IsOurs)))
            yield break;
        var why = publication.IsOurs
            ? $"role {server.Role} does not own {Names(missing.Where(t => !t.IsOurs))}"
            : $"it belongs to role {publication.Owner}";
        yield return $"{place}: publication {source.Publication} lacks {Names(missing)}, and {why}. "
            + $"As owner of both, run {AddStatement(source.Publication, missing)};";
    }

    private static string List(IEnumerable<TableFacts> tables) => string.Join(", ", tables.Select(t => t.SqlName));

    private static string Names(IEnumerable<TableFacts> tables) => string.Join(", ", tables.Select(t => t.FullName));
}
