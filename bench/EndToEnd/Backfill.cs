using CdcOrleans.Bench.EndToEnd.Consumers;
using CdcOrleans.Bench.EndToEnd.Measuring;
using CdcOrleans.Bench.EndToEnd.Servers;
using CdcOrleans.Bench.EndToEnd.Workloads;

namespace CdcOrleans.Bench.EndToEnd;

/// <summary>One consumer's reading of rows that exist.</summary>
/// <param name="Consumer">Its name.</param>
/// <param name="Version">What it is, with versions.</param>
/// <param name="Round">The round.</param>
/// <param name="Rows">Number of the rows.</param>
/// <param name="Seconds">From the broker's append of the first row to that of the last.</param>
/// <param name="FromStart">Seconds from the start, of the process or of the connector, to the append of the last row.</param>
/// <param name="Usage">CPU from the first row on, and memory.</param>
internal sealed record BackfillResult(string Consumer, string Version, int Round, long Rows, double Seconds, double FromStart, Usage Usage)
{
    public double PerSecond => Rows / Seconds;
}

/// <summary>
/// The rows of a table are read into the broker: by a backfill of the product, and by Debezium's initial snapshot. Each is a consumer of its
/// own that starts with nothing, in a new process, and ends before the next one starts.
/// </summary>
internal sealed class Backfill(
    DatabaseServer server, Broker broker, KafkaHome kafka, Topics topics, Writer writer, BenchmarkOptions options, string productCommit)
{
    private const long DefaultRows = 500_000;

    /// <summary>Measures the consumers that were asked for, in turn; no other consumer may run.</summary>
    public async Task<IReadOnlyList<BackfillResult>> Measure(Action<string> say, CancellationToken cancel)
    {
        var results = new List<BackfillResult>();
        for (var round = 0; round < options.Rounds; round++)
        {
            // A table of its own in each round, because whoever has read a table once does not read it again.
            var table = Table.Backfill with { Name = $"{Table.Backfill.Name}{round + 1}" };
            await server.Execute(table.Definition, cancel);
            var rows = options.Changes ?? DefaultRows;
            say($"backfill: {rows:N0} rows first");
            var consumers = new[] { "product", "debezium" }.Where(options.Consumers.Contains).Select(name => Create(name, table)).ToList();
            await topics.Create(consumers.Select(c => c.Topic(table.Name)));
            var goal = await writer.Write(table, Workload.Insert(table, 1, rows, 1000), cancel);
            if (round % 2 == 1)
                consumers.Reverse();
            foreach (var consumer in consumers)
            {
                var result = await Measure(consumer, goal, round, cancel);
                say($"  {result.Consumer,-14} {result.PerSecond,9:N0}/s  {result.FromStart:0.0} s from the start");
                results.Add(result);
            }

            await server.Execute($"DROP TABLE public.{table.Name}", cancel);
        }

        return results;
    }

    private TopicConsumer Create(string name, Table table)
    {
        var folder = Path.Combine(options.DataFolder, $"{name}-{table.Name}");
        return name == "product"
            ? new Product(server, broker, topics, options.Product, productCommit, options.Activation, folder, table)
            : new Debezium(server, broker, kafka, topics, options.ConnectHeap, folder, table);
    }

    private async Task<BackfillResult> Measure(TopicConsumer consumer, Goal goal, int round, CancellationToken cancel)
    {
        var topic = consumer.Topic(goal.Table);
        var begin = topics.Ends(topic);
        await using (consumer)
        {
            var pids = Array.Empty<int>() as IReadOnlyList<int>;
            await using var sampler = new Sampler(() => pids, server.Pid, broker.Pid);
            var preparing = consumer.Prepare(cancel);
            var sampled = Sample();
            await preparing;
            await sampled;
            await topics.AwaitCount(topic, begin, goal.Changes, consumer.EnsureAlive, cancel);
            await Task.Delay(TimeSpan.FromSeconds(1), cancel);
            var end = topics.Ends(topic);
            if (end.Sum() - begin.Sum() != goal.Changes)
                throw new BenchmarkException($"{consumer.Name}, {goal.Table}: {end.Sum() - begin.Sum():N0} events for {goal.Changes:N0} rows.");
            var (first, last) = topics.Times(topic, begin, end);
            await topics.Forget(topic);
            return new BackfillResult(
                consumer.Name, consumer.Version, round, goal.Changes, (last - first).TotalSeconds, (last - consumer.Started).TotalSeconds, sampler.Between(first, last));

            // The process exists some time before it is prepared.
            async Task Sample()
            {
                while (consumer.Started == default && !preparing.IsCompleted)
                    await Task.Delay(20, cancel);
                if (consumer.Started != default)
                    pids = consumer.Pids;
            }
        }
    }
}
