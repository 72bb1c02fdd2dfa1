using CdcOrleans.Bench.EndToEnd.Measuring;
using CdcOrleans.Bench.EndToEnd.Workloads;

namespace CdcOrleans.Bench.EndToEnd.Consumers;

/// <summary>A consumer that writes one topic a table: the broker tells when its changes arrived, and how many.</summary>
internal abstract class TopicConsumer(Topics topics, string prefix) : IConsumer
{
    private long[] _begin = [];

    /// <summary>What was drained last; null before the first drain.</summary>
    protected Goal? Drained { get; private set; }

    /// <summary>When the last process, or the connector, was started.</summary>
    public DateTime Started { get; protected set; }

    public abstract string Name { get; }

    public abstract string Version { get; }

    public abstract IReadOnlyList<int> Pids { get; }

    public string Topic(string table) => $"{prefix}.public.{table}";

    public abstract Task Prepare(CancellationToken cancel);

    public abstract Task Pause(CancellationToken cancel);

    /// <summary>Begins to read, or goes on.</summary>
    public abstract Task Resume(CancellationToken cancel);

    public abstract Task Forget(CancellationToken cancel);

    /// <summary>Throws when a process that must run does not.</summary>
    public abstract void EnsureAlive();

    public abstract ValueTask DisposeAsync();

    public async Task<DrainTimes> Drain(Goal goal, CancellationToken cancel)
    {
        var topic = Topic(goal.Table);
        _begin = topics.Ends(topic);
        await Resume(cancel);
        await topics.AwaitCount(topic, _begin, goal.Events, EnsureAlive, cancel);
        var (first, last) = topics.Times(topic, _begin, topics.Ends(topic));
        return new DrainTimes(first, last);
    }

    /// <summary>Waits until exactly so many records have come since <paramref name="begin"/>, however many drains they belong to.</summary>
    public async Task Finish(Goal last, long[] begin, long records, CancellationToken cancel)
    {
        var topic = Topic(last.Table);
        await topics.AwaitCount(topic, begin, records, EnsureAlive, cancel);
        await Task.Delay(TimeSpan.FromSeconds(1), cancel);
        var have = topics.Ends(topic).Sum() - begin.Sum();
        if (have != records)
            throw new BenchmarkException($"{Name}, {last.Table}: {have:N0} events where {records:N0} were written.");
        Drained = last;
        await topics.Forget(topic);
    }

    public async Task<long> Verify(Goal goal, CancellationToken cancel)
    {
        var topic = Topic(goal.Table);
        var events = topics.Ends(topic).Sum() - _begin.Sum();
        if (events != goal.Events)
            throw new BenchmarkException($"{Name}, {goal.Table}: {events:N0} events where {goal.Events:N0} were written.");
        Drained = goal;
        await topics.Forget(topic);
        return events;
    }
}
