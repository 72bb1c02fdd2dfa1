using System.Collections;
using CdcOrleans.Configuration.Pipeline;
using CdcOrleans.Configuration.Reading;
using CdcOrleans.Configuration.Yaml;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Configuration;

/// <summary>Reads <c>cdc.yaml</c>.</summary>
public static class ConfigurationFile
{
    /// <summary>Reads and checks a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="sinkTypes">
    /// The types of sinks. Null for a process without sinks: their settings are then not read, nor their secrets needed, and
    /// <see cref="PipelineConfiguration.Sinks"/> is empty.
    /// </param>
    /// <param name="environment">Variables for <c>${NAME}</c>; null takes those of the process.</param>
    /// <exception cref="ConfigurationException">The file is missing or has errors; the exception has all of them.</exception>
    public static PipelineConfiguration Load(
        string path, IReadOnlyList<ISinkType>? sinkTypes, IReadOnlyDictionary<string, string>? environment = null) =>
        Load(path, sinkTypes, environment, out _);

    /// <summary>Reads and checks a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="sinkTypes">The types of sinks; null for a process without sinks.</param>
    /// <param name="environment">Variables for <c>${NAME}</c>; null takes those of the process.</param>
    /// <param name="warnings">Takes the warnings, such as a sink that no route uses. The file can be used all the same.</param>
    /// <exception cref="ConfigurationException">The file is missing or has errors; the exception has all of them.</exception>
    public static PipelineConfiguration Load(
        string path, IReadOnlyList<ISinkType>? sinkTypes, IReadOnlyDictionary<string, string>? environment, out IReadOnlyList<ConfigurationFinding> warnings)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        string text;
        try
        {
            text = File.ReadAllText(path);
        }
        catch (Exception trouble) when (trouble is FileNotFoundException or DirectoryNotFoundException)
        {
            throw Unreadable(path, "the file does not exist; name the configuration file, or create it");
        }
        catch (UnauthorizedAccessException)
        {
            throw Unreadable(path, Directory.Exists(path)
                ? "this is a folder; name the configuration file in it"
                : "the file may not be read by this user; give the user read permission");
        }
        catch (IOException trouble)
        {
            throw Unreadable(path, $"the file cannot be read: {trouble.Message}");
        }

        return Read(text, path, sinkTypes, environment ?? ProcessEnvironment(), out warnings);
    }

    /// <summary>Returns host, port, database and user of a connection string for logs; nothing else of it.</summary>
    /// <param name="connection">An Npgsql connection string.</param>
    public static string Redact(string connection) => ConnectionText.Redact(connection);

    /// <summary>Checks the content of a file.</summary>
    internal static PipelineConfiguration Read(
        string text, string path, IReadOnlyList<ISinkType>? sinkTypes, IReadOnlyDictionary<string, string> environment, out IReadOnlyList<ConfigurationFinding> warnings)
    {
        var findings = new Findings(path, environment);
        PipelineConfiguration? pipeline = null;
        try
        {
            if (YamlTree.Read(text) is { } root)
                pipeline = PipelineReading.Read(findings, root, sinkTypes, Path.GetDirectoryName(Path.GetFullPath(path)) ?? "/");
            else
                throw Unreadable(path, "the file is empty; it needs at least cluster, control, sources, sinks and routes");
        }
        catch (YamlTreeException trouble)
        {
            findings.Refuse(trouble.Place, "", trouble.Message);
        }

        warnings = findings.Warnings;
        return findings.Errors is { Count: > 0 } errors ? throw new ConfigurationException(errors) : pipeline!;
    }

    private static ConfigurationException Unreadable(string path, string message) =>
        new([new ConfigurationFinding(path, 0, 0, "", message)]);

    private static Dictionary<string, string> ProcessEnvironment() =>
        Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().ToDictionary(e => (string)e.Key, e => (string?)e.Value ?? "");
}
