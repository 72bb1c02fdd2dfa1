namespace CdcOrleans.Model.Configuration;

/// <summary>Apache Kafka.</summary>
public sealed record KafkaSinkConfiguration : SinkConfiguration
{
    /// <inheritdoc />
    public override string Type => "kafka";

    /// <summary>Bootstrap servers, <c>host:port</c> separated by commas.</summary>
    public required string Bootstrap { get; init; }

    /// <summary>
    /// Name of the topic of a table, with the place holders <c>{topic}</c>, <c>{source}</c>, <c>{schema}</c> and <c>{table}</c>. Null:
    /// <c>{source}.{schema}.{table}</c>, as Debezium.
    /// </summary>
    public string? Topic { get; init; }

    /// <summary>How missing topics are created; null when the sink creates none.</summary>
    public TopicCreation? CreateTopics { get; init; }

    /// <summary>
    /// Further librdkafka producer settings, such as <c>compression.type</c>, and those of <c>tls</c> and <c>sasl</c>. They may have
    /// secrets.
    /// </summary>
    public IReadOnlyDictionary<string, string> Options { get; init; } = new Dictionary<string, string>();
}

/// <summary>How a topic is created.</summary>
public sealed record TopicCreation
{
    /// <summary>Number of partitions; null for the broker's default.</summary>
    public int? Partitions { get; init; }

    /// <summary>Number of replicas of each partition; null for the broker's default.</summary>
    public int? Replication { get; init; }

    /// <summary>Whether Kafka keeps the newest event of each key instead of deleting old events (<c>cleanup.policy=compact</c>).</summary>
    public bool Compact { get; init; }
}
