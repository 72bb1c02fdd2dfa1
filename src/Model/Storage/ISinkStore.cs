namespace CdcOrleans.Model.Storage;

/// <summary>Which sinks are paused, and what is stored for each sink. Safe for concurrent use.</summary>
public interface ISinkStore
{
    /// <summary>Returns the sinks that are paused. The pipeline asks often, so this does not use the connections for questions.</summary>
    Task<IReadOnlyList<SinkPause>> Paused(CancellationToken cancellation);

    /// <summary>Pauses a sink. A sink that is paused already stays so, with the first who and since.</summary>
    /// <returns>The pause, and whether it is new.</returns>
    /// <exception cref="StateUnavailableException">The control database does not answer.</exception>
    Task<(SinkPause Pause, bool IsNew)> Pause(string sink, string who, CancellationToken cancellation);

    /// <summary>Ends the pause of a sink.</summary>
    /// <returns>The pause that was ended; null when the sink was not paused.</returns>
    /// <exception cref="StateUnavailableException">The control database does not answer.</exception>
    Task<SinkPause?> Resume(string sink, CancellationToken cancellation);

    /// <summary>Counts dead letters and parked events by source, sink and table. Reads the index of all dead letters, and all parked entities.</summary>
    /// <exception cref="StateUnavailableException">The control database does not answer.</exception>
    Task<IReadOnlyList<SinkBacklog>> Backlogs(CancellationToken cancellation);
}

/// <summary>A sink to which nothing is passed, because a person paused it.</summary>
/// <param name="Sink">Name of the sink.</param>
/// <param name="Who">The user, or the address while there are no users.</param>
/// <param name="Since">When.</param>
public sealed record SinkPause(string Sink, string Who, DateTimeOffset Since);

/// <summary>What is stored of one table for one sink: dead letters, and parked events.</summary>
/// <param name="Source">The source.</param>
/// <param name="Sink">The sink.</param>
/// <param name="Table"><c>schema.table</c>.</param>
/// <param name="DeadLetters">Number of dead letters.</param>
/// <param name="Parked">Number of parked events.</param>
/// <param name="ParkedBytes">Bytes of the parked events.</param>
/// <param name="OldestParkedAt">When the parked event that has waited longest was tried first; null when nothing is parked.</param>
public sealed record SinkBacklog(string Source, string Sink, string Table, long DeadLetters, long Parked, long ParkedBytes, DateTimeOffset? OldestParkedAt);
