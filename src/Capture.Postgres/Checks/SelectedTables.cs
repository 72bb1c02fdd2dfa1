using CdcOrleans.Model.Configuration;
using Npgsql;

namespace CdcOrleans.Capture.Postgres.Checks;

/// <summary>The tables that the configuration of a source selects now.</summary>
internal sealed class SelectedTables
{
    /// <summary>
    /// Tables whose changes are captured under their own names. With <c>publish_via_partition_root</c>, partitions of a selected table are
    /// not among them; without it, partitioned tables are not.
    /// </summary>
    public required IReadOnlyList<TableFacts> All { get; init; }

    /// <summary>
    /// The tables that the publication must name to carry <see cref="All"/>: partitioned tables instead of their partitions, so that new
    /// partitions are included.
    /// </summary>
    public required IReadOnlyList<TableFacts> Members { get; init; }

    /// <summary>Partitions of a selected table that are published under their own names and are not selected.</summary>
    public required IReadOnlyList<TableFacts> PartitionsLeftOut { get; init; }

    /// <summary>Selected tables that are not in the log: unlogged and temporary ones.</summary>
    public required IReadOnlyList<TableFacts> NotLogged { get; init; }

    /// <summary>Reads the tables.</summary>
    /// <param name="connection">A connection to the source.</param>
    /// <param name="source">The configuration of the source.</param>
    /// <param name="viaRoot">Whether the publication publishes changes of partitions under the name of their partitioned table.</param>
    /// <param name="cancellation">Cancels.</param>
    public static async Task<SelectedTables> Read(NpgsqlConnection connection, SourceConfiguration source, bool viaRoot, CancellationToken cancellation)
    {
        var tables = new List<TableFacts>();
        await using (var command = new NpgsqlCommand(TableFacts.Query, connection))
        {
            await using var rows = await command.ExecuteReaderAsync(cancellation);
            while (await rows.ReadAsync(cancellation))
                tables.Add(TableFacts.Read(rows));
        }

        var selected = tables.Where(t => source.Select(t.Schema, t.Name) is not null).ToList();
        var logged = selected.Where(t => t.IsLogged).ToList();
        var roots = logged.Where(t => t.IsPartitioned).Select(t => t.Oid).ToHashSet();
        bool IsPart(TableFacts table) => table.Root is { } root && roots.Contains(root);
        return new SelectedTables
        {
            All = [.. logged.Where(t => viaRoot ? !IsPart(t) : !t.IsPartitioned)],
            Members = [.. logged.Where(t => !IsPart(t))],
            PartitionsLeftOut = viaRoot ? [] : [.. tables.Where(t => IsPart(t) && !t.IsPartitioned && !logged.Contains(t))],
            NotLogged = [.. selected.Where(t => !t.IsLogged)],
        };
    }
}
