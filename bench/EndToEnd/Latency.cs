using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using CdcOrleans.Bench.EndToEnd.Consumers;
using CdcOrleans.Bench.EndToEnd.Measuring;
using CdcOrleans.Bench.EndToEnd.Servers;
using CdcOrleans.Bench.EndToEnd.Workloads;
using Npgsql;

namespace CdcOrleans.Bench.EndToEnd;

/// <summary>Milliseconds from a row's commit to the broker's append of its event.</summary>
internal sealed record LatencyResult(string Consumer, int Changes, double Rate, double P50, double P90, double P99, double Max);

/// <summary>Single-row updates at a steady rate; the row carries the time right before its commit, the record the time of its append.</summary>
internal sealed class Latency(DatabaseServer server, Topics topics, Writer writer, BenchmarkOptions options)
{
    private const int Keys = 10_000;
    private const int Connections = 8;
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(10);

    private readonly Dictionary<string, long> _backlog = [];

    public async Task Prepare(IEnumerable<TopicConsumer> consumers, CancellationToken cancel)
    {
        var rows = await writer.Write(Table.Latency, Workload.Insert(Table.Latency, 1, Keys, 1000), cancel);
        foreach (var consumer in consumers)
            _backlog[consumer.Name] = rows.Changes;
    }

    /// <summary>Measures a paused consumer, and leaves it paused.</summary>
    /// <param name="consumer">The consumer.</param>
    /// <param name="name">Its name in the result.</param>
    /// <param name="beside">What goes on meanwhile, until its token is cancelled; null for nothing.</param>
    /// <param name="cancel">Cancels.</param>
    public async Task<LatencyResult> Measure(TopicConsumer consumer, string name, Func<CancellationToken, Task>? beside, CancellationToken cancel)
    {
        // What was written during the turns of others comes first, and shows that the consumer reads.
        var prime = await writer.Write(Table.Latency, new Step($"CALL workload.update_skewed_latency(1000, {Keys}, 0.5)", 1000, 0, 1000), cancel);
        Owe(prime.Changes);
        var owed = prime with { Changes = _backlog[consumer.Name] };
        await consumer.Drain(owed, cancel);
        await consumer.Verify(owed, cancel);

        using var stop = new CancellationTokenSource();
        var other = beside?.Invoke(stop.Token) ?? Task.CompletedTask;
        var topic = consumer.Topic(Table.Latency.Name);
        var begin = topics.Ends(topic);
        var from = DateTime.UtcNow + WarmUp;
        var clock = Stopwatch.StartNew();
        var total = (WarmUp + TimeSpan.FromSeconds(options.LatencySeconds)).TotalSeconds * options.LatencyRate / Connections;
        await Task.WhenAll(Enumerable.Range(0, Connections).Select(c => Task.Run(() => Write(c, (int)total, clock, cancel), cancel)));
        var rate = (int)total * Connections / clock.Elapsed.TotalSeconds;
        Owe((int)total * Connections);
        await topics.AwaitCount(topic, begin, (int)total * Connections, consumer.EnsureAlive, cancel);
        await stop.CancelAsync();
        await other;
        await Task.Delay(TimeSpan.FromSeconds(1), cancel);
        await consumer.Pause(cancel);
        _backlog[consumer.Name] = 0;

        var latencies = topics.Read(topic, begin, topics.Ends(topic))
            .Select(record => (Committed: CommitTime(record.Value), record.Appended))
            .Where(pair => pair.Committed >= from)
            .Select(pair => (pair.Appended - pair.Committed).TotalMilliseconds)
            .Order().ToArray();
        return new LatencyResult(name, latencies.Length, rate,
            Spread.Percentile(latencies, 0.5), Spread.Percentile(latencies, 0.9), Spread.Percentile(latencies, 0.99), latencies[^1]);
    }

    private void Owe(long changes)
    {
        foreach (var name in _backlog.Keys)
            _backlog[name] += changes;
    }

    // Every connection has its own share of the keys and its own phase; it commits durably, because a walsender sends only what is flushed.
    private async Task Write(int index, int total, Stopwatch clock, CancellationToken cancel)
    {
        await using var connection = new NpgsqlConnection(server.Connection(DatabaseServer.SourceDatabase) + ";Pooling=false");
        await connection.OpenAsync(cancel);
        await using var command = new NpgsqlCommand(
            "UPDATE public.latency SET quantity = quantity + 1, changed_at = clock_timestamp() WHERE id = $1", connection);
        var key = new NpgsqlParameter<long>();
        command.Parameters.Add(key);
        await command.PrepareAsync(cancel);
        var step = 1000.0 * Connections / options.LatencyRate;
        for (var i = 0; i < total; i++)
        {
            var due = (i * step) + (index * step / Connections);
            var wait = due - clock.Elapsed.TotalMilliseconds;
            if (wait >= 1)
                await Task.Delay(TimeSpan.FromMilliseconds(wait), cancel);
            key.TypedValue = 1 + index + ((long)i * 7919 % (Keys / Connections) * Connections);
            await command.ExecuteNonQueryAsync(cancel);
        }
    }

    private static DateTime CommitTime(byte[]? value)
    {
        using var json = JsonDocument.Parse(value ?? throw new BenchmarkException("An update came as a record without value."));
        var text = json.RootElement.GetProperty("after").GetProperty("changed_at").GetString()!;
        return DateTimeOffset.Parse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal).UtcDateTime;
    }
}
