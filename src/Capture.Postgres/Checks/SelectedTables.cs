using CdcOrleans.Model.Configuration;
using Npgsql;

namespace CdcOrleans.Capture.Postgres.Checks;

/// <summary>The tables that a source's configuration selects, as they are now.</summary>
internal sealed class SelectedTables
{
    /// <summary>
    /// Tables whose changes are captured under their own names. Where a publication tells partitions' changes as those of their
    /// partitioned table, a partition of a selected table is not among them; where it does not, the partitioned tables are not.
    /// </summary>
    public required IReadOnlyList<TableFacts> All { get; init; }

    /// <summary>What a publication names to carry <see cref="All"/>: partitioned tables instead of their partitions, so that new ones are in.</summary>
    public required IReadOnlyList<TableFacts> Members { get; init; }

    /// <summary>Partitions of a selected table that are told under their own names, which are not selected.</summary>
    public required IReadOnlyList<TableFacts> PartitionsLeftOut { get; init; }

    /// <summary>Selected tables that the log does not carry: unlogged and temporary ones.</summary>
    public required IReadOnlyList<TableFacts> NotLogged { get; init; }

    /// <summary>Selects.</summary>
    /// <param name="connection">A session at the source.</param>
    /// <param name="source">What selects.</param>
    /// <param name="viaRoot">Whether the publication tells partitions' changes as those of their partitioned table.</param>
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
