using System.Globalization;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Sinks;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Sinks.Kafka;

/// <summary>The type <c>kafka</c>.</summary>
internal sealed class KafkaSinkType : SinkType<KafkaSinkConfiguration>
{
    /// <inheritdoc />
    public override string Name => "kafka";

    /// <inheritdoc />
    public override IReadOnlyList<string> Keys { get; } = ["bootstrap", "topic", "create_topics", "tls", "sasl", "options"];

    /// <inheritdoc />
    public override KafkaSinkConfiguration? Read(string name, ISettings settings, string folder)
    {
        var servers = Bootstrap(settings.Require("bootstrap", "write for example 'bootstrap: 127.0.0.1:9092'"));
        var options = KafkaSecurity.Read(settings.Find("tls"), settings.Find("sasl"), folder);
        foreach (var (key, value) in settings.Find("options")?.AsNames()?.All ?? [])
        {
            if (key == "bootstrap.servers")
                value.RefuseKey("'bootstrap.servers' is set by the key bootstrap; write the servers there");
            else if (key == "create_topics")
                value.RefuseKey("'create_topics' is a key of the sink itself; write it beside options");
            else if (options.ContainsKey(key))
                value.RefuseKey($"'{key}' is set by the keys tls and sasl; remove it here or there");
            else if (value.AsText() is { } text)
                options[key] = text;
        }

        if (servers is null)
            return null;
        return new KafkaSinkConfiguration
        {
            Name = name, Bootstrap = servers, Topic = Topic(settings.Find("topic")), CreateTopics = Creation(settings.Find("create_topics")), Options = options,
        };
    }

    /// <inheritdoc />
    public override ISink Create(KafkaSinkConfiguration configuration, TimeProvider time, ILoggerFactory logs) =>
        new KafkaSink(configuration, time, logs.CreateLogger<KafkaSink>());

    private static string? Topic(ISetting? value)
    {
        if (value?.AsText() is not { } template)
            return null;
        if (TopicTemplate.Unknown(template) is { } unknown)
            value.Refuse($"has '{unknown}', which is not known here; write {string.Join(", ", TopicTemplate.PlaceHolders.Select(p => $"{{{p}}}"))}");
        return template;
    }

    private static TopicCreation? Creation(ISetting? value)
    {
        if (value is null)
            return null;
        if (!value.IsMapping)
            return value.AsWord("true", "false") == "true" ? new TopicCreation() : null;
        if (value.AsSection("partitions", "replication", "compact") is not { } creation)
            return null;
        return new TopicCreation
        {
            Partitions = creation.Find("partitions")?.AsInteger(1, 10_000),
            Replication = creation.Find("replication")?.AsInteger(1, 100),
            Compact = creation.Find("compact")?.AsWord("true", "false") == "true",
        };
    }

    private static string? Bootstrap(ISetting? value)
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
}
