using System.CommandLine;
using CdcOrleans.Configuration;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Sinks;

namespace CdcOrleans.Silo.Commands;

/// <summary>The option for the configuration file, and how the file is read.</summary>
internal static class ConfigOption
{
    public static Option<string> Create() => new("--config", "-c")
    {
        Description = "The configuration file.",
        DefaultValueFactory = _ => "cdc.yaml",
    };

    /// <summary>Reads the file. Prints errors to standard error and returns null when it has errors.</summary>
    public static PipelineConfiguration? Load(string path)
    {
        try
        {
            var configuration = ConfigurationFile.Load(path, SinkTypes.All, environment: null, out var warnings);
            foreach (var warning in warnings)
                Console.Error.WriteLine($"warning: {warning}");
            return configuration;
        }
        catch (ConfigurationException refused)
        {
            Console.Error.WriteLine(refused.Message);
            return null;
        }
    }
}
