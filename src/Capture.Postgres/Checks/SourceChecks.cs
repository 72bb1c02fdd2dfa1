using CdcOrleans.Grains.Interfaces.Configuration;
using Npgsql;

namespace CdcOrleans.Capture.Postgres.Checks;

/// <summary>The outcome of all checks of a source.</summary>
/// <param name="Findings">What is wrong, each with place and remedy; empty when streaming can begin.</param>
/// <param name="Server">The server and our role.</param>
/// <param name="Tables">The selected tables.</param>
/// <param name="Publication">The publication, if it exists.</param>
/// <param name="Slot">The slot, if it exists.</param>
internal sealed record SourceChecks(
    IReadOnlyList<string> Findings, ServerFacts Server, IReadOnlyList<TableFacts> Tables, PublicationFacts? Publication, SlotFacts? Slot)
{
    /// <summary>Runs them all. Only reads.</summary>
    public static async Task<SourceChecks> Run(
        NpgsqlConnection connection, SourceConfiguration source, SourceConnection place, CancellationToken cancellation)
    {
        var server = await ServerFacts.Read(connection, cancellation);
        var tables = await TableFacts.ReadSelected(connection, source, cancellation);
        var publication = await PublicationFacts.Read(connection, source.Publication, cancellation);
        var slot = await SlotFacts.Read(connection, source.Slot, cancellation);
        return new SourceChecks(
            [
                .. ServerCheck.Findings(source, place.Description, server, slot),
                .. TableCheck.Findings(source, server, tables),
                .. PublicationCheck.Findings(source, server, publication, tables),
                .. SlotCheck.Findings(source, place.ReaderName, server, slot),
            ],
            server, tables, publication, slot);
    }
}
