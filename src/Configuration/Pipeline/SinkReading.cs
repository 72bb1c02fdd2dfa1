using System.Globalization;
using CdcOrleans.Configuration.Reading;
using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Configuration.Pipeline;

/// <summary>A sink in the file, and how it is read.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Value">Its value in the file.</param>
/// <param name="Configuration">The sink; null when it could not be read.</param>
internal sealed record SinkReading(string Name, Value Value, SinkConfiguration? Configuration)
{
    private static readonly string[] Types = ["kafka", "file"];
    private static readonly string[] LaterTypes = ["webhook", "postgres", "redis", "opensearch"];

    /// <summary>Reads all sinks.</summary>
    /// <param name="sinks">The mapping <c>sinks</c>.</param>
    /// <param name="folder">Folder for relative directories.</param>
    public static IReadOnlyList<SinkReading>? All(Section? sinks, string folder)
    {
        if (sinks is null)
            return null;
        if (sinks.Values.Count == 0)
            sinks.Refuse("is empty; name at least one destination");
        return [.. sinks.Values.Select(s => One(s.Key, s.Value, folder))];
    }

    private static SinkReading One(string name, Value value, string folder)
    {
        if (!PipelineReading.IsName(name))
            value.RefuseKey($"'{name}' is not a sink name; write letters, digits, '_' and '-'");
        SinkConfiguration? read = value.AsNames() is not { } any ? null : Type(any) switch
        {
            "kafka" => Kafka(name, value.AsSection("type", "bootstrap", "options")!),
            "file" => File(name, value.AsSection("type", "directory")!, folder),
            _ => null,
        };
        return new SinkReading(name, value, read);
    }

    private static string? Type(Section sink)
    {
        if (sink.Require("type", "write 'type: kafka' or 'type: file'") is not { } type || type.AsText() is not { } text)
            return null;
        if (Types.Contains(text))
            return text;
        type.Refuse(LaterTypes.Contains(text)
            ? $"{type.Shown} is not in this version; this version has kafka and file"
            : $"{type.Shown} is not a type of sink{Spelling.Hint(text, Types)} this version has kafka and file");
        return null;
    }

    private static KafkaSinkConfiguration? Kafka(string name, Section sink)
    {
        var servers = Bootstrap(sink.Require("bootstrap", "write for example 'bootstrap: 127.0.0.1:9092'"));
        var options = new Dictionary<string, string>();
        foreach (var (key, value) in sink.Find("options")?.AsNames()?.Values ?? new Dictionary<string, Value>())
        {
            if (key == "bootstrap.servers")
                value.RefuseKey("'bootstrap.servers' is set by the key bootstrap; write the servers there");
            else if (value.AsText() is { } text)
                options[key] = text;
        }

        return servers is null ? null : new KafkaSinkConfiguration { Name = name, Bootstrap = servers, Options = options };
    }

    private static string? Bootstrap(Value? value)
    {
        if (value?.AsList() is not { } items)
            return null;
        var servers = new List<string>();
        foreach (var item in items)
        {
            if (item.AsText() is not { } text)
                return null;
            foreach (var server in text.Split(',', StringSplitOptions.TrimEntries))
            {
                if (IsServer(server))
                {
                    servers.Add(server);
                    continue;
                }

                item.Refuse($"{item.Shown} is not a list of servers; write host:port separated by commas, such as kafka1:9092,kafka2:9092");
                return null;
            }
        }

        return string.Join(',', servers);
    }

    // A name or an IPv4 address, or an IPv6 address in brackets; then a port.
    private static bool IsServer(string server)
    {
        var colon = server.LastIndexOf(':');
        if (colon <= 0 || !ushort.TryParse(server.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port) || port == 0)
            return false;
        var host = server[..colon];
        return Uri.CheckHostName(host) switch
        {
            UriHostNameType.Dns or UriHostNameType.IPv4 => true,
            UriHostNameType.IPv6 => host[0] == '[',
            _ => false,
        };
    }

    private static FileSinkConfiguration? File(string name, Section sink, string folder)
    {
        if (sink.Require("directory", "write for example 'directory: ./out'")?.AsText() is not { } directory)
            return null;
        return new FileSinkConfiguration { Name = name, Directory = Path.GetFullPath(directory, folder) };
    }
}
