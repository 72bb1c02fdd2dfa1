using CdcOrleans.Bench.EndToEnd.Consumers;
using CdcOrleans.Bench.EndToEnd.Measuring;
using CdcOrleans.Bench.EndToEnd.Servers;
using CdcOrleans.Bench.EndToEnd.Workloads;

namespace CdcOrleans.Bench.EndToEnd;

/// <summary>One consumer's drain of one round.</summary>
internal sealed record DrainResult(string Workload, string Consumer, int Round, long Changes, long Events, double Seconds, Usage Usage)
{
    public double PerSecond => Changes / Seconds;

    public double CpuPerChange(Role role) => Usage.Cpu[role] / Changes;
}

/// <summary>All that a run measured.</summary>
internal sealed record BenchmarkResults(
    IReadOnlyList<string> Versions, IReadOnlyList<string> Consumers, IReadOnlyList<DrainResult> Drains, IReadOnlyList<LatencyResult> Latencies,
    IReadOnlyList<EnduranceResult> Endurances, IReadOnlyList<BackfillResult> Backfills);

/// <summary>
/// Runs everything: each round's changes are written once while nobody reads, then every consumer drains the same log in its turn, alone.
/// </summary>
internal sealed class Benchmark(BenchmarkOptions options, string productCommit) : IAsyncDisposable
{
    public const string LatencyWorkload = "latency";
    public const string EnduranceWorkload = "endurance";
    public const string BackfillWorkload = "backfill";
    public const string LatencyBesideBackfillWorkload = "latency-backfill";

    /// <summary>Workloads that run only when they are named.</summary>
    public static readonly string[] OnlyNamed = [EnduranceWorkload, BackfillWorkload, LatencyBesideBackfillWorkload];

    private readonly Stack<IAsyncDisposable> _started = new();
    private readonly List<IConsumer> _consumers = [];
    private readonly List<DrainResult> _drains = [];
    private DatabaseServer _server = null!;
    private Broker _broker = null!;
    private Topics _topics = null!;
    private Writer _writer = null!;
    private int _warmed;

    public async Task<BenchmarkResults> Run(CancellationToken cancel)
    {
        var kafka = new KafkaHome(options.KafkaHome, options.ConnectPlugins);
        await StartServers(kafka, cancel);

        // It has processes of its own, which no other may disturb.
        var backfills = options.Workloads.Contains(BackfillWorkload)
            ? await new Backfill(_server, _broker, kafka, _topics, _writer, options, productCommit).Measure(Say, cancel)
            : [];
        if (options.Workloads.All(w => w == BackfillWorkload))
            return new BenchmarkResults([.. backfills.Select(b => b.Version).Distinct()], [.. backfills.Select(b => b.Consumer).Distinct()], [], [], [], backfills);
        await Start(kafka, cancel);
        var size = new Size(Math.Min(options.Changes ?? long.MaxValue, Workload.Warm.DefaultChanges), options.Keys);
        for (var i = 0; i < 2; i++)
            await WarmUp(size, cancel);
        foreach (var workload in Workload.All.Where(w => options.Workloads.Contains(w.Name)))
            await Run(workload, size, cancel);
        IReadOnlyList<LatencyResult> latencies = options.Workloads.Contains(LatencyWorkload) ? await MeasureLatency(cancel) : [];
        if (options.Workloads.Contains(LatencyBesideBackfillWorkload))
            latencies = [.. latencies, .. await MeasureLatencyBesideBackfill(cancel)];
        var endurances = options.Workloads.Contains(EnduranceWorkload) ? await MeasureEndurance(cancel) : [];
        return new BenchmarkResults([.. _consumers.Select(c => c.Version)], [.. _consumers.Select(c => c.Name)], _drains, latencies, endurances, backfills);
    }

    public async ValueTask DisposeAsync()
    {
        while (_started.TryPop(out var last))
            await last.DisposeAsync();
    }

    private async Task StartServers(KafkaHome kafka, CancellationToken cancel)
    {
        Say("starting servers");
        Directory.CreateDirectory(options.DataFolder);
        _started.Push(_server = await DatabaseServer.Start(Folder("postgres"), cancel));
        _writer = new Writer(_server);
        await _writer.CreateTables(cancel);
        _started.Push(_broker = await Broker.Start(kafka, Folder("broker"), cancel));
        _started.Push(_topics = new Topics(_broker.Bootstrap));
    }

    private async Task Start(KafkaHome kafka, CancellationToken cancel)
    {
        if (options.Consumers.Contains("recvlogical"))
            _consumers.Add(new RecvLogical(_server, options.DataFolder));
        if (options.Consumers.Contains("product"))
            _consumers.Add(new Product(_server, _broker, _topics, options.Product, productCommit, options.Activation, Folder("product")));
        if (options.Consumers.Contains("debezium"))
            _consumers.Add(new Debezium(_server, _broker, kafka, _topics, options.ConnectHeap, Folder("connect")));
        await _topics.Create(_consumers.OfType<TopicConsumer>().SelectMany(c => Table.All.Select(t => c.Topic(t.Name))));
        foreach (var consumer in _consumers)
        {
            _started.Push(consumer);
            await consumer.Prepare(cancel);
            await consumer.Pause(cancel);
        }
    }

    private async Task Run(Workload workload, Size warmUp, CancellationToken cancel)
    {
        var size = new Size(options.Changes ?? workload.DefaultChanges, options.Keys);
        if (workload.Rows(size) is > 0 and var rows)
        {
            Say($"{workload.Name}: {rows:N0} rows first");
            await Turns(workload, Workload.Insert(workload.Table, 1, rows, 1000), round: 0, measured: false, cancel);
        }

        for (var round = 0; round < options.WarmRounds + options.Rounds; round++)
        {
            if (workload.Asleep)
            {
                foreach (var consumer in _consumers)
                    await consumer.Forget(cancel);
                await WarmUp(warmUp, cancel);
            }

            var measured = round >= options.WarmRounds;
            Say($"{workload.Name}: {(measured ? $"round {round - options.WarmRounds + 1}" : "warm-up")}");
            await Turns(workload, workload.Write(size, round), round, measured, cancel);
        }
    }

    private async Task WarmUp(Size size, CancellationToken cancel)
    {
        Say("warming up");
        await Turns(Workload.Warm, Workload.Warm.Write(size, _warmed), _warmed, measured: false, cancel);
        _warmed++;
    }

    private async Task Turns(Workload workload, Step step, int round, bool measured, CancellationToken cancel)
    {
        foreach (var consumer in _consumers.OfType<RecvLogical>())
            await consumer.Pause(cancel);
        var goal = await _writer.Write(workload.Table, step, cancel);
        // Every consumer is first, second and last in turn.
        foreach (var consumer in _consumers.Skip(round % _consumers.Count).Concat(_consumers.Take(round % _consumers.Count)))
        {
            var result = await Turn(consumer, workload, goal, round, cancel);
            Say($"  {consumer.Name,-14} {result.PerSecond,9:N0}/s  {result.CpuPerChange(Role.Consumer),5:0.0} µs a change");
            if (measured)
                _drains.Add(result);
        }
    }

    private async Task<DrainResult> Turn(IConsumer consumer, Workload workload, Goal goal, int round, CancellationToken cancel)
    {
        await using var sampler = new Sampler(() => consumer.Pids, _server.Pid, _broker.Pid);
        var times = await consumer.Drain(goal, cancel);
        // What trails a drain (checkpoints, acknowledgements) belongs to its cost, and a surplus of events would come now.
        await Task.Delay(TimeSpan.FromSeconds(1), cancel);
        var events = await consumer.Verify(goal, cancel);
        var usage = sampler.Between(times.First, times.Last);
        await consumer.Pause(cancel);
        var seconds = Math.Max(0.001, (times.Last - times.First).TotalSeconds);
        return new DrainResult(workload.Name, consumer.Name, round, goal.Changes, events, seconds, usage);
    }

    private async Task<IReadOnlyList<LatencyResult>> MeasureLatency(CancellationToken cancel)
    {
        var latency = new Latency(_server, _topics, _writer, options);
        var results = new List<LatencyResult>();
        var consumers = _consumers.OfType<TopicConsumer>().ToArray();
        await latency.Prepare(consumers, cancel);
        foreach (var consumer in consumers)
        {
            int?[] intervals = consumer is Debezium ? [null, 5] : [null];
            foreach (var interval in intervals)
            {
                var name = consumer.Name;
                if (consumer is Debezium debezium && interval is not null)
                {
                    await debezium.SetPollInterval(interval, cancel);
                    name += $", poll.interval.ms={interval}";
                }

                Say($"latency: {name}");
                var result = await latency.Measure(consumer, name, null, cancel);
                Say($"  p50 {result.P50:0.0}, p99 {result.P99:0.0}, max {result.Max:0.0} ms");
                results.Add(result);
            }
        }

        return results;
    }

    // The same rows are read again and again, so the backfill finds states, which costs more than the first time.
    private async Task<IReadOnlyList<LatencyResult>> MeasureLatencyBesideBackfill(CancellationToken cancel)
    {
        const long DefaultRows = 300_000;
        var product = _consumers.OfType<Product>().Single();
        var latency = new Latency(_server, _topics, _writer, options);
        await latency.Prepare([product], cancel);
        var rows = options.Changes ?? DefaultRows;
        Say($"latency beside a backfill: {rows:N0} rows first");
        await Turns(Workload.All.Single(w => w.Table == Table.Inserts), Workload.Insert(Table.Inserts, 1, rows, 1000), round: 0, measured: false, cancel);
        var results = new List<LatencyResult>();
        for (var round = 0; round < options.Rounds; round++)
        {
            results.Add(await latency.Measure(product, $"{product.Name} alone", null, cancel));
            var load = new BackfillLoad(product, Table.Inserts.Name);
            var beside = await latency.Measure(product, product.Name, stop => load.Run(stop, cancel), cancel);
            results.Add(beside with { Consumer = $"{product.Name} beside a backfill of {load.Rows / load.Seconds:N0} rows/s" });
            foreach (var result in results.TakeLast(2))
                Say($"  {result.Consumer}: p50 {result.P50:0.0}, p99 {result.P99:0.0}, max {result.Max:0.0} ms");
        }

        return results;
    }

    private async Task<IReadOnlyList<EnduranceResult>> MeasureEndurance(CancellationToken cancel)
    {
        var endurance = new Endurance(_topics, _writer, options);
        var results = new List<EnduranceResult>();
        foreach (var consumer in _consumers.OfType<TopicConsumer>())
        {
            Say($"endurance: {consumer.Name}");
            results.Add(await endurance.Measure(consumer, Say, cancel));
        }

        return results;
    }

    private string Folder(string name) => Path.Combine(options.DataFolder, name);

    private static void Say(string line) => Console.Error.WriteLine($"{DateTime.UtcNow:HH:mm:ss} {line}");
}
