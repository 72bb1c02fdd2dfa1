using CdcOrleans.Bench.EndToEnd.Workloads;

namespace CdcOrleans.Bench.EndToEnd.Consumers;

/// <summary>When a drain's first and last change were delivered.</summary>
internal sealed record DrainTimes(DateTime First, DateTime Last);

/// <summary>Something that follows the database through a replication slot of its own.</summary>
internal interface IConsumer : IAsyncDisposable
{
    string Name { get; }

    /// <summary>What it is, with versions.</summary>
    string Version { get; }

    /// <summary>Processes whose CPU time and memory are the consumer's.</summary>
    IReadOnlyList<int> Pids { get; }

    /// <summary>Creates slot and publication and starts what is to run; reading may have begun.</summary>
    Task Prepare(CancellationToken cancel);

    /// <summary>
    /// Stops reading: afterwards the slot is free, so that nothing is decoded or buffered ahead of the next drain, and the consumer's processes,
    /// if any remain, are frozen.
    /// </summary>
    Task Pause(CancellationToken cancel);

    /// <summary>Reads the log and returns when all of the goal is delivered. Leaves the consumer reading.</summary>
    Task<DrainTimes> Drain(Goal goal, CancellationToken cancel);

    /// <summary>Removes the rows that it has in memory, if it has any. It is paused before and after.</summary>
    Task Forget(CancellationToken cancel);

    /// <summary>Checks, after a drain has settled, that exactly the goal was delivered; throws otherwise. Returns the number of events.</summary>
    Task<long> Verify(Goal goal, CancellationToken cancel);
}
