using System.Diagnostics;
using System.Text;
using Confluent.Kafka;

namespace CdcOrleans.Samples.TheWorldShop.Verification;

/// <summary>Reads a source's events from all partitions of its topics, from the beginning or from a moment on.</summary>
internal sealed class KafkaEvents : IDeliveredEvents
{
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan StallTimeout = TimeSpan.FromSeconds(30);

    private readonly string _bootstrap;
    private readonly string _source;
    private readonly DateTimeOffset? _since;
    private readonly IConsumer<byte[]?, byte[]?> _consumer;
    private readonly IAdminClient _admin;
    private readonly Dictionary<TopicPartition, long> _next = [];

    public KafkaEvents(string bootstrap, string source, DateTimeOffset? since)
    {
        (_bootstrap, _source, _since) = (bootstrap, source, since);
        _consumer = new ConsumerBuilder<byte[]?, byte[]?>(new ConsumerConfig
        {
            BootstrapServers = bootstrap,
            GroupId = $"theworldshop-verify-{Guid.NewGuid():N}",
            EnableAutoCommit = false,
            AutoOffsetReset = AutoOffsetReset.Error,
        }).SetLogHandler((_, _) => { }).Build();
        _admin = new AdminClientBuilder(new AdminClientConfig { BootstrapServers = bootstrap }).SetLogHandler((_, _) => { }).Build();
    }

    public IEnumerable<DeliveredEvent> ReadNew()
    {
        var ends = Ask(AssignAndFindEnds);
        var behind = ends.Where(e => _next[e.Key] < e.Value).Select(e => e.Key).ToHashSet();
        var stalled = Stopwatch.StartNew();
        while (behind.Count > 0)
        {
            var record = Ask(() => _consumer.Consume(TimeSpan.FromMilliseconds(200)));
            if (record is null)
            {
                // Positions also pass records that are not handed out, such as transaction markers.
                behind.RemoveWhere(p => _consumer.Position(p) is { IsSpecial: false } position && position.Value >= ends[p]);
                if (stalled.Elapsed > StallTimeout)
                    throw new UserException($"Kafka at {_bootstrap} handed out nothing for {StallTimeout.TotalSeconds:0} s though {behind.Count} partitions hold more.");
                continue;
            }

            stalled.Restart();
            _next[record.TopicPartition] = record.Offset.Value + 1;
            if (record.Offset.Value + 1 >= ends[record.TopicPartition])
                behind.Remove(record.TopicPartition);
            yield return new DeliveredEvent(
                record.Topic, Text(record.Message.Key), Text(record.Message.Value), Header(record.Message.Headers, "cdc.id"), Header(record.Message.Headers, "cdc.version"));
        }
    }

    public void Dispose()
    {
        _consumer.Close();
        _consumer.Dispose();
        _admin.Dispose();
    }

    private Dictionary<TopicPartition, long> AssignAndFindEnds()
    {
        var found = _admin.GetMetadata(AnswerTimeout).Topics
            .Where(t => t.Topic.StartsWith(_source + ".", StringComparison.Ordinal))
            .SelectMany(t => t.Partitions.Select(p => new TopicPartition(t.Topic, p.PartitionId)))
            .ToList();
        var fresh = found.Where(p => !_next.ContainsKey(p)).ToList();
        if (fresh.Count > 0)
        {
            var starts = fresh.Select(p => new TopicPartitionOffset(p, _consumer.QueryWatermarkOffsets(p, AnswerTimeout).Low)).ToList();
            if (_since is { } since)
            {
                var times = fresh.Select(p => new TopicPartitionTimestamp(p, new Timestamp(since.UtcDateTime)));
                starts = [.. _consumer.OffsetsForTimes(times, AnswerTimeout).Select(o =>
                    o.Offset.IsSpecial ? new TopicPartitionOffset(o.TopicPartition, _consumer.QueryWatermarkOffsets(o.TopicPartition, AnswerTimeout).High) : o)];
            }

            foreach (var start in starts)
                _next[start.TopicPartition] = start.Offset.Value;
            _consumer.IncrementalAssign(starts);
        }

        return _next.Keys.ToDictionary(p => p, p => _consumer.QueryWatermarkOffsets(p, AnswerTimeout).High.Value);
    }

    private T Ask<T>(Func<T> question)
    {
        try
        {
            return question();
        }
        catch (KafkaException error)
        {
            throw new UserException($"Kafka at {_bootstrap}: {error.Error.Reason}");
        }
    }

    private static string? Text(byte[]? bytes) => bytes is null ? null : Encoding.UTF8.GetString(bytes);

    private static string? Header(Headers? headers, string name) =>
        headers is not null && headers.TryGetLastBytes(name, out var value) ? Encoding.UTF8.GetString(value) : null;
}
