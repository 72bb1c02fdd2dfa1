using CdcOrleans.Capture.Postgres;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Storage.Postgres;

namespace CdcOrleans.Silo.Hosting;

/// <summary>Checks that run before anything is changed: the control database can be used, and every source can be captured.</summary>
internal static class Preflight
{
    /// <summary>Returns all problems, for a person; empty when the pipeline can start.</summary>
    public static async Task<IReadOnlyList<string>> Check(PipelineConfiguration configuration, CancellationToken cancellation)
    {
        var findings = new List<string>();
        try
        {
            await ControlDatabase.Check(configuration.Control.Connection, cancellation);
        }
        catch (ControlDatabaseException unusable)
        {
            findings.Add($"control.connection: {unusable.Message}");
        }

        await using var services = new ServiceCollection().AddLogging().AddPostgresStorage(configuration.Control.Connection).AddPostgresCapture().BuildServiceProvider();
        var captures = services.GetRequiredService<ISourceCaptureFactory>();
        foreach (var source in configuration.Sources.Values)
        {
            await using var capture = captures.Create(source);
            findings.AddRange(await capture.Check(cancellation));
        }

        return findings;
    }
}
