using System.CommandLine;
using CdcOrleans.Silo.Hosting;
using CdcOrleans.Storage.Postgres;

namespace CdcOrleans.Silo.Commands;

/// <summary><c>run</c>: runs a silo, with the gateway in the same process unless <c>--no-gateway</c> is given.</summary>
internal static class RunCommand
{
    public static Command Create()
    {
        var config = ConfigOption.Create();
        var noGateway = new Option<bool>("--no-gateway") { Description = "Run the silo without the gateway." };
        var command = new Command("run", "Runs a silo and the gateway until it is stopped (SIGTERM, SIGINT).") { config, noGateway };
        command.SetAction((result, cancellation) => Run(result.GetValue(config)!, !result.GetValue(noGateway), cancellation));
        return command;
    }

    private static async Task<int> Run(string path, bool withGateway, CancellationToken cancellation)
    {
        if (ConfigOption.Load(path) is not { } configuration)
            return ExitCode.Refused;
        RuntimeSettings.Apply(configuration);
        var findings = await Preflight.Check(configuration, cancellation);
        if (findings.Count > 0)
        {
            foreach (var finding in findings)
                await Console.Error.WriteLineAsync(finding);
            return ExitCode.Refused;
        }

        await using var app = SiloHost.Build(configuration, withGateway);
        try
        {
            await ControlDatabase.Migrate(configuration.Control.Connection, app.Services.GetRequiredService<ILoggerFactory>().CreateLogger("CdcOrleans.Control"), cancellation);
            await app.RunAsync();
            return ExitCode.Success;
        }
        catch (ControlDatabaseException refused)
        {
            await Console.Error.WriteLineAsync($"control.connection: {refused.Message}");
            return ExitCode.Refused;
        }
        catch (IOException inUse)
        {
            await Console.Error.WriteLineAsync($"{inUse.Message} Set another gateway.listen, cluster.silo_port or cluster.client_port, or stop the program that uses the port.");
            return ExitCode.Failure;
        }
    }
}
