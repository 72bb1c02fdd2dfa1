using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;
using Npgsql;

namespace CdcOrleans.Capture.Postgres.Checks;

/// <summary>The outcome of all checks of a source.</summary>
/// <param name="Findings">What is wrong, each with its place and remedy; empty when streaming can begin.</param>
/// <param name="Server">The server and our role.</param>
/// <param name="Tables">The selected tables.</param>
/// <param name="Publication">The publication, if it exists.</param>
/// <param name="Slot">The slot, if it exists.</param>
/// <param name="Joining">Tables that must be added to the publication.</param>
/// <param name="LeftOut">Messages for tables that match a pattern, were never captured, and cannot be captured.</param>
/// <param name="Gone">Messages for selected tables that were captured before and do not exist any more.</param>
internal sealed record SourceChecks(
    IReadOnlyList<string> Findings, ServerFacts Server, SelectedTables Tables, PublicationFacts? Publication, SlotFacts? Slot,
    IReadOnlyList<TableFacts> Joining, IReadOnlyList<string> LeftOut, IReadOnlyList<string> Gone)
{
    /// <summary>Runs all checks. Only reads.</summary>
    /// <param name="connection">A connection to the source.</param>
    /// <param name="source">The source.</param>
    /// <param name="place">The connection of the source.</param>
    /// <param name="schemas">The schema store. It has every table that was captured before.</param>
    /// <param name="isStreaming">Whether the checks passed before in this session. Then a missing table was dropped since.</param>
    /// <param name="cancellation">Cancels.</param>
    public static async Task<SourceChecks> Run(
        NpgsqlConnection connection, SourceConfiguration source, SourceConnection place, ISchemaStore schemas, bool isStreaming, CancellationToken cancellation)
    {
        var server = await ServerFacts.Read(connection, cancellation);
        var publication = await PublicationFacts.Read(connection, source.Publication, cancellation);
        var tables = await SelectedTables.Read(connection, source, publication?.ViaRoot ?? source.ViaPartitionRoot, cancellation);
        var slot = await SlotFacts.Read(connection, source.Slot, cancellation);
        var gone = await FindGone(source, tables, slot, schemas, isStreaming, cancellation);
        var missing = publication is null ? tables.Members : PublicationCheck.Missing(publication, tables);
        var leftOut = await FindLeftOut(source, publication, slot, missing, schemas, cancellation);
        var (clashes, later) = FindNameClashes(tables, publication, slot);
        IReadOnlyList<TableFacts> joining = [.. missing.Except(leftOut).Except(later)];
        return new SourceChecks(
            [
                .. ServerCheck.Findings(source, place.Description, server, slot),
                .. TableCheck.Findings(source, server, tables, gone),
                .. clashes.Select(t => TableCheck.NameClashFinding(source, t)),
                .. PublicationCheck.Findings(source, server, publication, slot, tables, joining),
                .. SlotCheck.Findings(source, place.ReaderName, server, slot),
            ],
            server, tables, publication, slot, joining,
            [
                .. leftOut.Except(later).Select(t => PublicationCheck.LeftOut(source, t)),
                .. later.Select(t => TableCheck.NameClashLeftOut(source, t.SqlName, t.FullName)),
            ],
            [.. gone.Order().Select(t => $"sources.{source.Name}.tables: '{t}' selects no table any more; the table that was captured before was dropped or renamed.")]);
    }

    // Tables whose names make the same text. When the publication already has exactly one of them, that one is captured, and the others
    // were created later.
    private static (List<IReadOnlyList<TableFacts>> NameClashes, List<TableFacts> Later) FindNameClashes(
        SelectedTables tables, PublicationFacts? publication, SlotFacts? slot)
    {
        List<IReadOnlyList<TableFacts>> clashes = [];
        List<TableFacts> later = [];
        foreach (var group in TableCheck.NameClashes(tables))
        {
            var published = group.Where(t => slot is not null && publication is not null && publication.Tables.Contains((t.Schema, t.Name))).ToList();
            if (published.Count == 1)
                later.AddRange(group.Except(published));
            else
                clashes.Add(group);
        }

        return (clashes, later);
    }

    // A table that is not selected by its full name and was never captured must not stop the others. Before the first start, only tables
    // without identity are left out: a missing privilege concerns all tables then, and a person should decide.
    private static async Task<List<TableFacts>> FindLeftOut(
        SourceConfiguration source, PublicationFacts? publication, SlotFacts? slot, IReadOnlyList<TableFacts> missing, ISchemaStore schemas,
        CancellationToken cancellation)
    {
        var leftOut = new List<TableFacts>();
        foreach (var table in missing.Where(t => !PublicationCheck.MayPublish(t) || (slot is not null && !PublicationCheck.CanAdd(publication, t))))
        {
            // Before the first start the schema store may not exist yet.
            if (source.Select(table.Schema, table.Name)!.Pattern != table.FullName
                && (slot is null || await schemas.FindTable(source.Name, table.FullName, cancellation) is null))
                leftOut.Add(table);
        }

        return leftOut;
    }

    // The log of an existing slot may still have changes of a table that was dropped since.
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
