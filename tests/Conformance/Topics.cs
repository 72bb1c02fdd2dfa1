using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Confluent.Kafka;

namespace CdcOrleans.Conformance;

/// <summary>Reads what was written under a prefix.</summary>
internal static class Topics
{
    // Rows of this table mark a point in the script: when the event of one has arrived, almost everything that was committed before has
    // arrived too.
    private const string Marks = "public.finish";

    // Topic of heartbeats, before the prefix.
    private const string Heartbeats = "__debezium-heartbeat.";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);
    private static readonly TimeSpan Quiet = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);

    /// <summary>Waits until this number of rows that were read has arrived.</summary>
    public static async Task HasRead(string bootstrap, string prefix, int rows)
    {
        for (var deadline = DateTime.UtcNow + Patience; ; await Task.Delay(Pause))
        {
            var read = (await Task.Run(() => ReadAll(bootstrap, prefix))).Count(r => r.Value?["op"]?.GetValue<string>() == "r");
            if (read >= rows)
                return;
            if (DateTime.UtcNow > deadline)
                throw new TimeoutException($"{prefix}: {read} of {rows} rows came in {Patience.TotalSeconds:0} s.");
        }
    }

    /// <summary>Waits until this number of marks has arrived.</summary>
    public static async Task Marked(string bootstrap, string prefix, int marks)
    {
        for (var deadline = DateTime.UtcNow + Patience; ; await Task.Delay(Pause))
        {
            var records = await Task.Run(() => ReadAll(bootstrap, prefix));
            if (records.Count(r => r.Topic == Marks) >= marks)
                return;
            if (DateTime.UtcNow > deadline)
                throw new TimeoutException($"{prefix}: {records.Count} records came in {Patience.TotalSeconds:0} s, and mark {marks} is not among them: {string.Join(", ", records.GroupBy(r => r.Topic).Select(g => $"{g.Key} {g.Count()}"))}");
        }
    }

    /// <summary>Whether a mark with this number, or a later one, has arrived.</summary>
    public static async Task<bool> HasMark(string bootstrap, string prefix, int mark) =>
        (await Task.Run(() => ReadAll(bootstrap, prefix))).Exists(r => r.Topic == Marks && r.Value?["after"]?["id"]?.GetValue<int>() >= mark);

    /// <summary>Waits until nothing more comes; returns everything but the marks.</summary>
    public static async Task<IReadOnlyList<TopicRecord>> Read(string bootstrap, string prefix)
    {
        var (before, since) = (-1, DateTime.UtcNow);
        for (; ; await Task.Delay(Pause))
        {
            var records = await Task.Run(() => ReadAll(bootstrap, prefix));

            // Heartbeats never end, and one is as good as many.
            records = [.. records.Where(r => r.Topic != Heartbeats), .. records.Where(r => r.Topic == Heartbeats).Take(1)];
            if (records.Count != before)
                (before, since) = (records.Count, DateTime.UtcNow);
            if (DateTime.UtcNow - since >= Quiet)
                return [.. records.Where(r => r.Topic != Marks)];
        }
    }

    private static List<TopicRecord> ReadAll(string bootstrap, string prefix)
    {
        using var consumer = new ConsumerBuilder<byte[]?, byte[]?>(new ConsumerConfig
        {
            BootstrapServers = bootstrap, GroupId = $"read-{Guid.NewGuid():N}", EnableAutoCommit = false, EnablePartitionEof = true, AutoOffsetReset = AutoOffsetReset.Earliest,
        }).SetLogHandler((_, _) => { }).Build();
        using var admin = new DependentAdminClientBuilder(consumer.Handle).Build();
        var partitions = admin.GetMetadata(TimeSpan.FromSeconds(10)).Topics
            .Where(t => t.Topic.StartsWith(prefix + ".", StringComparison.Ordinal) || t.Topic == Heartbeats + prefix)
            .SelectMany(t => t.Partitions.Select(p => new TopicPartitionOffset(t.Topic, p.PartitionId, Offset.Beginning)))
            .ToList();
        var records = new List<TopicRecord>();
        if (partitions.Count == 0)
            return records;
        consumer.Assign(partitions);
        for (var ended = 0; ended < partitions.Count;)
        {
            var result = consumer.Consume(TimeSpan.FromSeconds(10)) ?? throw new TimeoutException("The broker gave nothing for 10 s.");
            if (result.IsPartitionEOF)
            {
                ended++;
                continue;
            }

            records.Add(new TopicRecord(
                result.Topic == Heartbeats + prefix ? Heartbeats : result.Topic[(prefix.Length + 1)..],
                result.Message.Key is { } key ? Json(key, prefix)!.ToJsonString() : null,
                result.Message.Value is { } value ? Json(value, prefix) : null,
                Headers(result.Message.Headers)) { Place = $"{result.Partition.Value}@{result.Offset.Value}" });
        }

        return records;
    }

    // Without what is of one run: the prefix, and the database's name, which is its end.
    private static JsonNode? Json(byte[] text, string prefix) => JsonNode.Parse(
        Encoding.UTF8.GetString(text).Replace(prefix, "<prefix>", StringComparison.Ordinal).Replace(prefix[(prefix.IndexOf('-', StringComparison.Ordinal) + 1)..], "<database>", StringComparison.Ordinal));

    private static SortedDictionary<string, string> Headers(Headers headers)
    {
        var kept = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var header in headers.Where(h => h.Key is "__debezium.newkey" or "__debezium.oldkey"))
            kept[header.Key] = Compact(Encoding.UTF8.GetString(header.GetValueBytes()));
        return kept;
    }

    // As it is where it is no JSON: theirs has NaN and infinities without quotes there.
    private static string Compact(string text)
    {
        try
        {
            return JsonNode.Parse(text)!.ToJsonString();
        }
        catch (JsonException)
        {
            return text;
        }
    }
}
