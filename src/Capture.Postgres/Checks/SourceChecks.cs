using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;
using Npgsql;

namespace CdcOrleans.Capture.Postgres.Checks;

/// <summary>The outcome of all checks of a source.</summary>
/// <param name="Findings">What is wrong, each with place and remedy; empty when streaming can begin.</param>
/// <param name="Server">The server and our role.</param>
/// <param name="Tables">The selected tables.</param>
/// <param name="Publication">The publication, if it exists.</param>
/// <param name="Slot">The slot, if it exists.</param>
/// <param name="Joining">Tables that the publication has to name and does not.</param>
/// <param name="LeftOut">What is said of tables that appeared since the first start, fit a pattern, and cannot be captured.</param>
/// <param name="Gone">What is said of selected tables that were captured before and are not there any more.</param>
internal sealed record SourceChecks(
    IReadOnlyList<string> Findings, ServerFacts Server, SelectedTables Tables, PublicationFacts? Publication, SlotFacts? Slot,
    IReadOnlyList<TableFacts> Joining, IReadOnlyList<string> LeftOut, IReadOnlyList<string> Gone)
{
    /// <summary>Runs them all. Only reads.</summary>
    /// <param name="connection">A connection to the source.</param>
    /// <param name="source">The source.</param>
    /// <param name="place">Where it is.</param>
    /// <param name="schemas">Which tables were captured before.</param>
    /// <param name="isStreaming">Whether they passed before, in this session: a table that is not there now was dropped since.</param>
    /// <param name="cancellation">Ends them.</param>
    public static async Task<SourceChecks> Run(
        NpgsqlConnection connection, SourceConfiguration source, SourceConnection place, ISchemaStore schemas, bool isStreaming, CancellationToken cancellation)
    {
        var server = await ServerFacts.Read(connection, cancellation);
        var publication = await PublicationFacts.Read(connection, source.Publication, cancellation);
        var tables = await SelectedTables.Read(connection, source, publication?.ViaRoot ?? source.ViaPartitionRoot, cancellation);
        var slot = await SlotFacts.Read(connection, source.Slot, cancellation);
        var gone = await FindGone(source, tables, slot, schemas, isStreaming, cancellation);
        var missing = publication is null ? tables.Members : PublicationCheck.Missing(publication, tables);
        var leftOut = slot is null ? [] : await FindLeftOut(source, publication, missing, schemas, cancellation);
        var (twins, later) = FindTwins(tables, publication, slot);
        IReadOnlyList<TableFacts> joining = [.. missing.Except(leftOut).Except(later)];
        return new SourceChecks(
            [
                .. ServerCheck.Findings(source, place.Description, server, slot),
                .. TableCheck.Findings(source, server, tables, gone),
                .. twins.Select(t => TableCheck.TwinsFinding(source, t)),
                .. PublicationCheck.Findings(source, server, publication, slot, tables, joining),
                .. SlotCheck.Findings(source, place.ReaderName, server, slot),
            ],
            server, tables, publication, slot, joining,
            [
                .. leftOut.Except(later).Select(t => PublicationCheck.LeftOut(source, t)),
                .. later.Select(t => TableCheck.TwinLeftOut(source, t.SqlName, t.FullName)),
            ],
            [.. gone.Order().Select(t => $"sources.{source.Name}.tables: '{t}' selects no table any more; the one captured before was dropped or renamed.")]);
    }

    // Tables of one name in text: where the publication has one of them from before, that one is captured and the others came later.
    private static (List<IReadOnlyList<TableFacts>> Twins, List<TableFacts> Later) FindTwins(
        SelectedTables tables, PublicationFacts? publication, SlotFacts? slot)
    {
        List<IReadOnlyList<TableFacts>> twins = [];
        List<TableFacts> later = [];
        foreach (var group in TableCheck.Twins(tables))
        {
            var published = group.Where(t => slot is not null && publication is not null && publication.Tables.Contains((t.Schema, t.Name))).ToList();
            if (published.Count == 1)
                later.AddRange(group.Except(published));
            else
                twins.Add(group);
        }

        return (twins, later);
    }

    // A table that nobody asked for by name, and that never was captured, must not stop the others.
    private static async Task<List<TableFacts>> FindLeftOut(
        SourceConfiguration source, PublicationFacts? publication, IReadOnlyList<TableFacts> missing, ISchemaStore schemas, CancellationToken cancellation)
    {
        var leftOut = new List<TableFacts>();
        foreach (var table in missing.Where(t => !PublicationCheck.MayPublish(t) || !PublicationCheck.CanAdd(publication, t)))
        {
            if (source.Select(table.Schema, table.Name)!.Pattern != table.FullName
                && await schemas.FindTable(source.Name, table.FullName, cancellation) is null)
                leftOut.Add(table);
        }

        return leftOut;
    }

    // Where the slot is from before, the log may still hold changes of a table that was dropped since.
    private static async Task<HashSet<string>> FindGone(
        SourceConfiguration source, SelectedTables tables, SlotFacts? slot, ISchemaStore schemas, bool isStreaming, CancellationToken cancellation)
    {
        var gone = new HashSet<string>();
        if (slot is null)
            return gone;
        foreach (var selection in TableCheck.Unmatched(source, tables))
        {
            if (isStreaming || selection.Pattern.Contains('*', StringComparison.Ordinal) || await schemas.FindTable(source.Name, selection.Pattern, cancellation) is not null)
                gone.Add(selection.Pattern);
        }

        return gone;
    }
}
