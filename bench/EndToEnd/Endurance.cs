using System.Diagnostics;
using CdcOrleans.Bench.EndToEnd.Consumers;
using CdcOrleans.Bench.EndToEnd.Measuring;
using CdcOrleans.Bench.EndToEnd.Workloads;

namespace CdcOrleans.Bench.EndToEnd;

/// <summary>One minute of full load: changes delivered in it, and the consumer's memory in bytes.</summary>
internal sealed record EnduranceMinute(int Minute, long Changes, long MeanBytes, long PeakBytes);

/// <summary>What a consumer did through the minutes, and the least of the log that was waiting for it at any look.</summary>
internal sealed record EnduranceResult(string Consumer, IReadOnlyList<EnduranceMinute> Minutes, long LeastWaiting);

/// <summary>
/// Full load for minutes: a writer keeps ahead of the consumer by a bounded piece of log, so that the consumer never waits and the disk
/// does not fill up; the working set is looked at five times a second.
/// </summary>
internal sealed class Endurance(Topics topics, Writer writer, BenchmarkOptions options)
{
    private const long BlocksAtOnce = 20;
    private const long MostAhead = 600_000;
    private const long LeastAhead = 50_000;
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(200);

    private long _blocks;

    /// <summary>Measures a paused consumer, and leaves it paused. Other consumers must read what was written afterwards.</summary>
    public async Task<EnduranceResult> Measure(TopicConsumer consumer, Action<string> say, CancellationToken cancel)
    {
        var topic = consumer.Topic(Table.Endurance.Name);
        var begin = topics.Ends(topic);
        long written = 0, records = 0;
        async Task<Goal> Write()
        {
            var step = new Step(
                $"CALL workload.endure_endurance({options.Keys + 1 + (_blocks * 1000)}, {BlocksAtOnce}, {options.Keys}, {Seed()})",
                BlocksAtOnce * Table.EndureChanges, BlocksAtOnce * Table.EndureDeletes, BlocksAtOnce * Table.EndureTransactions);
            var goal = await writer.Append(step, Table.Endurance, cancel);
            _blocks += BlocksAtOnce;
            Interlocked.Add(ref written, goal.Changes);
            Interlocked.Add(ref records, goal.Events);
            return goal;
        }

        if (_blocks == 0)
        {
            var rows = await writer.Append(Workload.Insert(Table.Endurance, 1, options.Keys, 1000), Table.Endurance, cancel);
            (written, records) = (rows.Changes, rows.Events);
        }

        while (Interlocked.Read(ref written) < MostAhead)
            await Write();
        await consumer.Resume(cancel);

        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var last = default(Goal);
        var delivered = 0L;
        var writing = Task.Run(
            async () =>
            {
                while (!end.IsCancellationRequested)
                {
                    if (Interlocked.Read(ref written) - Interlocked.Read(ref delivered) < MostAhead)
                        last = await Write();
                    else
                        await Task.Delay(Look, cancel);
                }
            },
            cancel);

        var minutes = new List<EnduranceMinute>();
        var least = long.MaxValue;
        var clock = Stopwatch.StartNew();
        for (var minute = 1; minute <= options.EnduranceMinutes; minute++)
        {
            var from = Interlocked.Read(ref delivered);
            var sizes = new List<long>();
            while (clock.Elapsed < TimeSpan.FromMinutes(minute))
            {
                await Task.Delay(Look, cancel);
                consumer.EnsureAlive();
                sizes.Add(consumer.Pids.Sum(ProcessTable.ResidentBytes));
                var have = topics.Ends(topic).Sum() - begin.Sum();
                // Tombstones come in proportion; the exact count is checked at the end.
                var changes = (long)((double)have * Table.EndureChanges / (Table.EndureChanges + Table.EndureDeletes));
                Interlocked.Exchange(ref delivered, changes);
                least = Math.Min(least, Interlocked.Read(ref written) - changes);
            }

            minutes.Add(new EnduranceMinute(minute, Interlocked.Read(ref delivered) - from, (long)sizes.Average(), sizes.Max()));
            await topics.Forget(topic);
            say($"  minute {minute}: {minutes[^1].Changes / 60:N0}/s, {minutes[^1].MeanBytes / 1e6:N0} MB, peak {minutes[^1].PeakBytes / 1e6:N0} MB");
        }

        if (least < LeastAhead)
            throw new BenchmarkException($"The writer did not keep ahead of {consumer.Name}: only {least:N0} changes were waiting at one look.");
        await end.CancelAsync();
        await writing;
        await consumer.Finish(last!, begin, records, cancel);
        await consumer.Pause(cancel);
        return new EnduranceResult(consumer.Name, minutes, least);
    }

    private string Seed() => FormattableString.Invariant($"{(_blocks / BlocksAtOnce % 97) / 100.0:0.00}");
}
