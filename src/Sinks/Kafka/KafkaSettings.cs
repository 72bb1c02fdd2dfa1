using System.Globalization;
using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Sinks.Kafka;

/// <summary>Settings of the sink's producers: first our defaults, then the user's options, then those that delivery depends on.</summary>
internal sealed class KafkaSettings
{
    private const string LargestMessage = "message.max.bytes";

    /// <summary>Bytes of the largest message that are kept for headers.</summary>
    private const int HeaderBytes = 1024;

    private static readonly Dictionary<string, string> Fixed = new()
    {
        // Order, and no duplicates during the life of a producer, depend on these.
        ["enable.idempotence"] = "true",
        ["acks"] = "all",

        // Messages do not expire while the broker cannot be reached. Deliveries wait, and the caller limits their number.
        ["message.timeout.ms"] = "0",

        // Delivery reports have only the outcome. Keys and values are known here.
        ["dotnet.producer.delivery.report.fields"] = "none",
        ["dotnet.producer.enable.delivery.reports"] = "true",
        ["dotnet.producer.enable.background.poll"] = "true",
    };

    private readonly Dictionary<string, string> _settings;

    public KafkaSettings(KafkaSinkConfiguration configuration)
    {
        _settings = new Dictionary<string, string>
        {
            ["client.id"] = $"cdc-{configuration.Name}",

            // Uses the same partitioner as Java clients.
            ["partitioner"] = "murmur2_random",
            ["linger.ms"] = "2",
            ["batch.num.messages"] = "10000",
            ["queue.buffering.max.messages"] = "1000000",
            ["queue.buffering.max.kbytes"] = "1048576",
            [LargestMessage] = "1000000",
            ["socket.keepalive.enable"] = "true",
            ["reconnect.backoff.max.ms"] = "2000",
            ["topic.metadata.propagation.max.ms"] = "10000",
        };
        foreach (var (name, value) in configuration.Options)
        {
            if (!Fixed.TryGetValue(name, out var needed))
                _settings[name] = value;
            else if (!string.Equals(needed, value, StringComparison.OrdinalIgnoreCase))
                throw new ArgumentException($"Sink '{configuration.Name}': option '{name}' is always '{needed}' and cannot be '{value}'. Remove it.", nameof(configuration));
        }

        foreach (var (name, value) in Fixed)
            _settings[name] = value;
        _settings["bootstrap.servers"] = configuration.Bootstrap;
    }

    /// <summary>Bytes of key and value of the largest event that the client takes.</summary>
    public long? LargestEvent => long.TryParse(_settings[LargestMessage], NumberStyles.None, CultureInfo.InvariantCulture, out var largest) ? largest - HeaderBytes : null;

    /// <summary>Settings of the producer that sends nearly all events.</summary>
    public Dictionary<string, string> ForBatches() => new(_settings);

    /// <summary>Settings of the producer that sends every event in a request of its own.</summary>
    public Dictionary<string, string> ForSingles() => new(_settings) { ["batch.num.messages"] = "1", ["linger.ms"] = "0" };

    /// <summary>Settings of the client that creates topics.</summary>
    public Dictionary<string, string> ForAdministration()
    {
        string[] security = ["bootstrap.servers", "client.id", "security.protocol"];
        return _settings
            .Where(s => security.Contains(s.Key) || s.Key.StartsWith("sasl.", StringComparison.Ordinal) || s.Key.StartsWith("ssl.", StringComparison.Ordinal))
            .ToDictionary();
    }
}
