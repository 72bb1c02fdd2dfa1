using CdcOrleans.Bench.EndToEnd.Servers;
using Confluent.Kafka;
using Confluent.Kafka.Admin;

namespace CdcOrleans.Bench.EndToEnd.Measuring;

/// <summary>A record as the broker holds it: its value and the time of its append.</summary>
internal readonly record struct StoredRecord(DateTime Appended, byte[]? Value);

/// <summary>Looks at topics through one long-lived client: counts by end offsets, times by the broker's append time.</summary>
internal sealed class Topics : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly IAdminClient _admin;
    private readonly Confluent.Kafka.IConsumer<byte[]?, byte[]?> _client;

    public Topics(string bootstrap)
    {
        _admin = new AdminClientBuilder(new AdminClientConfig { BootstrapServers = bootstrap })
            .SetLogHandler((_, _) => { }).SetErrorHandler((_, _) => { }).Build();
        _client = new ConsumerBuilder<byte[]?, byte[]?>(new ConsumerConfig
        {
            BootstrapServers = bootstrap,
            GroupId = "bench",
            EnableAutoCommit = false,
            EnableAutoOffsetStore = false,
            AutoOffsetReset = AutoOffsetReset.Error,
        }).SetLogHandler((_, _) => { }).SetErrorHandler((_, _) => { }).Build();
    }

    public Task Create(IEnumerable<string> topics) => _admin.CreateTopicsAsync(
        topics.Select(topic => new TopicSpecification { Name = topic, NumPartitions = Broker.Partitions, ReplicationFactor = 1 }));

    /// <summary>End offset of each partition.</summary>
    public long[] Ends(string topic) =>
        [.. Enumerable.Range(0, Broker.Partitions).Select(p => _client.QueryWatermarkOffsets(new TopicPartition(topic, p), Patience).High.Value)];

    /// <summary>Waits until a topic holds <paramref name="count"/> records more than at <paramref name="begin"/>; gives up when none come for a minute.</summary>
    public async Task AwaitCount(string topic, long[] begin, long count, Action ensureAlive, CancellationToken cancel)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(200));
        long before = -1;
        for (var moved = DateTime.UtcNow; ;)
        {
            var have = Ends(topic).Sum() - begin.Sum();
            if (have >= count)
                return;
            if (have != before)
                (before, moved) = (have, DateTime.UtcNow);
            if (DateTime.UtcNow - moved > TimeSpan.FromSeconds(60))
                throw new BenchmarkException($"{topic}: {have:N0} of {count:N0} events came, and none for a minute.");
            ensureAlive();
            await timer.WaitForNextTickAsync(cancel);
        }
    }

    /// <summary>Append times of the first and the last record between two states of a topic.</summary>
    public (DateTime First, DateTime Last) Times(string topic, long[] begin, long[] end)
    {
        DateTime first = DateTime.MaxValue, last = DateTime.MinValue;
        for (var p = 0; p < begin.Length; p++)
        {
            if (end[p] == begin[p])
                continue;
            var (from, to) = (ReadOne(topic, p, begin[p]).Appended, ReadOne(topic, p, end[p] - 1).Appended);
            first = from < first ? from : first;
            last = to > last ? to : last;
        }

        return (first, last);
    }

    /// <summary>All records between two states of a topic.</summary>
    public List<StoredRecord> Read(string topic, long[] begin, long[] end)
    {
        var records = new List<StoredRecord>();
        for (var p = 0; p < begin.Length; p++)
        {
            if (end[p] == begin[p])
                continue;
            _client.Assign(new TopicPartitionOffset(topic, p, begin[p]));
            for (long offset = -1; offset < end[p] - 1;)
            {
                var result = Consume(topic);
                offset = result.Offset.Value;
                records.Add(new StoredRecord(result.Message.Timestamp.UtcDateTime, result.Message.Value));
            }
        }

        _client.Unassign();
        return records;
    }

    /// <summary>Lets the broker delete what a topic holds, so that the disk does not fill up.</summary>
    public Task Forget(string topic)
    {
        var ends = Ends(topic);
        return _admin.DeleteRecordsAsync(ends.Select((end, p) => new TopicPartitionOffset(topic, p, end)));
    }

    public ValueTask DisposeAsync()
    {
        _client.Dispose();
        _admin.Dispose();
        return ValueTask.CompletedTask;
    }

    private StoredRecord ReadOne(string topic, int partition, long offset)
    {
        _client.Assign(new TopicPartitionOffset(topic, partition, offset));
        var result = Consume(topic);
        _client.Unassign();
        return new StoredRecord(result.Message.Timestamp.UtcDateTime, null);
    }

    private ConsumeResult<byte[]?, byte[]?> Consume(string topic) =>
        _client.Consume(Patience) ?? throw new BenchmarkException($"The broker did not give a record of {topic} within {Patience.TotalSeconds:0} s.");
}
