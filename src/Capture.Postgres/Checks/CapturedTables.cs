using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Configuration;
using Npgsql;

namespace CdcOrleans.Capture.Postgres.Checks;

/// <summary>Reads from the catalog which tables of a source are captured.</summary>
internal sealed class CapturedTables : ICapturedTables
{
    public async Task<IReadOnlyList<string>> List(SourceConfiguration source, CancellationToken cancellation)
    {
        var place = new SourceConnection(source);
        try
        {
            await using var database = NpgsqlDataSource.Create(place.Ordinary);
            await using var connection = await database.OpenConnectionAsync(cancellation);
            var publication = await PublicationFacts.Read(connection, source.Publication, cancellation)
                ?? throw new CaptureException(
                    $"sources.{source.Name}: publication {source.Publication} does not exist, so no table is captured. Start the source, which creates it.", transient: true);
            var selected = await SelectedTables.Read(connection, source, publication.ViaRoot, cancellation);
            return [.. selected.All.Where(t => publication.Tables.Contains((t.Schema, t.Name))).Select(t => t.FullName).Order(StringComparer.Ordinal)];
        }
        catch (Exception exception) when (exception is NpgsqlException or IOException or TimeoutException or System.Net.Sockets.SocketException)
        {
            cancellation.ThrowIfCancellationRequested();
            throw new CaptureFailure(source, place).Of(exception, "reading the captured tables");
        }
    }
}
