using System.Text;
using CdcOrleans.Testing;
using Confluent.Kafka;
using Confluent.Kafka.Admin;

namespace CdcOrleans.Integration.Sinks;

/// <summary>A topic as a test makes and reads it.</summary>
internal sealed class KafkaTopic(KafkaBroker broker, string name, int partitions = 4)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    public string Name { get; } = name;

    public int Partitions { get; } = partitions;

    /// <summary>Makes a topic. The mock knows no such request: it makes topics of four partitions when they are asked for.</summary>
    public static async Task<KafkaTopic> Create(KafkaBroker broker, int partitions = 4, params (string Name, string Value)[] settings)
    {
        var name = $"sinks.{Guid.NewGuid():N}";
        if (!broker.IsReal)
            return new KafkaTopic(broker, name);
        using var admin = new AdminClientBuilder(new Dictionary<string, string> { ["bootstrap.servers"] = broker.Bootstrap }).Build();
        await admin.CreateTopicsAsync([
            new TopicSpecification { Name = name, NumPartitions = partitions, ReplicationFactor = 1, Configs = settings.ToDictionary(s => s.Name, s => s.Value) }]);
        return new KafkaTopic(broker, name, partitions);
    }

    /// <summary>The number of its partitions and its clean-up policy.</summary>
    public async Task<(int Partitions, string Cleanup)> Shape()
    {
        using var admin = new AdminClientBuilder(new Dictionary<string, string> { ["bootstrap.servers"] = broker.Bootstrap }).Build();
        var settings = await admin.DescribeConfigsAsync([new ConfigResource { Type = ResourceType.Topic, Name = Name }]);
        return (admin.GetMetadata(Name, Patience).Topics.Single().Partitions.Count, settings.Single().Entries["cleanup.policy"].Value);
    }

    /// <summary>Everything in the topic, once there are so many records; those of a partition in its order.</summary>
    public List<ConsumeResult<byte[], byte[]?>> Read(int count)
    {
        using var consumer = new ConsumerBuilder<byte[], byte[]?>(new Dictionary<string, string>
        {
            ["bootstrap.servers"] = broker.Bootstrap, ["group.id"] = "none", ["enable.auto.commit"] = "false", ["auto.offset.reset"] = "earliest",
            ["enable.partition.eof"] = "true",
        }).Build();
        consumer.Assign(Enumerable.Range(0, Partitions).Select(p => new TopicPartitionOffset(Name, p, Offset.Beginning)));
        var records = new List<ConsumeResult<byte[], byte[]?>>();
        var ends = new HashSet<int>();
        var deadline = DateTime.UtcNow + Patience;

        // To the end of every partition, so that records too many are seen as well.
        while ((records.Count < count || ends.Count < Partitions) && DateTime.UtcNow < deadline)
        {
            if (consumer.Consume(TimeSpan.FromSeconds(1)) is not { } record)
                continue;
            if (record.IsPartitionEOF)
            {
                ends.Add(record.Partition);
            }
            else
            {
                ends.Remove(record.Partition);
                records.Add(record);
            }
        }

        return records;
    }

    public static string Text(byte[]? bytes) => bytes is null ? "null" : Encoding.UTF8.GetString(bytes);
}
