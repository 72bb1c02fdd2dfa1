using CdcOrleans.Configuration;
using CdcOrleans.Gateway.Security;
using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Gateway;

/// <summary>The program: <c>CdcOrleans.Gateway --config cdc.yaml</c>.</summary>
internal static class Program
{
    private const string Usage = """
        CdcOrleans gateway: HTTP API, health and metrics of a cluster.

        Usage: CdcOrleans.Gateway [--config <file>]

          --config <file>   the cluster's configuration (default: cdc.yaml)
          --help            this text

        Exit codes: 0 stopped as asked, 1 failed while running, 2 wrong usage or configuration.
        """;

    private static async Task<int> Main(string[] args)
    {
        string path;
        switch (args)
        {
            case ["--help" or "-h" or "-?"]:
                Console.WriteLine(Usage);
                return 0;
            case []:
                path = "cdc.yaml";
                break;
            case ["--config" or "-c", var file]:
                path = file;
                break;
            default:
                await Console.Error.WriteLineAsync(Usage);
                return 2;
        }

        PipelineConfiguration configuration;
        try
        {
            // It delivers nothing, so it needs no settings of sinks and none of their secrets.
            configuration = ConfigurationFile.Load(path, sinkTypes: null);
        }
        catch (ConfigurationException e)
        {
            await Console.Error.WriteLineAsync(e.Message);
            return 2;
        }

        if (ListenAddress.Finding(configuration.Gateway.Listen) is { } finding)
        {
            await Console.Error.WriteLineAsync(finding);
            return 2;
        }

        if (ListenAddress.Taken(configuration.Gateway.Listen) is { } taken)
        {
            await Console.Error.WriteLineAsync(taken);
            return 1;
        }

        return await Run(configuration);
    }

    private static async Task<int> Run(PipelineConfiguration configuration)
    {
        await using var app = GatewayHost.Build(configuration);
        var (started, stopping) = (app.Lifetime.ApplicationStarted, app.Lifetime.ApplicationStopping);
        try
        {
            await app.RunAsync();
            return 0;
        }
        catch (Exception) when (stopping.IsCancellationRequested && !started.IsCancellationRequested)
        {
            return 0; // Stopped while it was still connecting to the cluster.
        }
        catch (IOException e)
        {
            await Console.Error.WriteLineAsync($"{configuration.Gateway.Listen}: {e.Message}");
            return 1;
        }
    }
}
