using System.CommandLine;
using CdcOrleans.Silo.Hosting;

namespace CdcOrleans.Silo.Commands;

/// <summary><c>check</c>: checks whether a configuration can run. Changes nothing.</summary>
internal static class CheckCommand
{
    public static Command Create()
    {
        var config = ConfigOption.Create();
        var command = new Command("check", "Checks the configuration and everything that it names. Changes nothing.") { config };
        command.SetAction(async (result, cancellation) =>
        {
            if (ConfigOption.Load(result.GetValue(config)!) is not { } configuration)
                return ExitCode.Refused;
            var findings = await Preflight.Check(configuration, cancellation);
            foreach (var finding in findings)
                await Console.Error.WriteLineAsync(finding);
            if (findings.Count > 0)
                return ExitCode.Refused;
            Console.WriteLine($"ready: {configuration.Sources.Count} source(s), {configuration.Sinks.Count} sink(s), {configuration.Routes.Count} route(s)");
            return ExitCode.Success;
        });
        return command;
    }
}
