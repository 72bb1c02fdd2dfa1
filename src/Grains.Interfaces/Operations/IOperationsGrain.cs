using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Interfaces.Operations;

/// <summary>
/// What people look at and decide about dead letters and parked events. It has no state: any silo answers. Key: <see cref="Key"/>.
/// </summary>
/// <remarks>Every method throws <see cref="Entities.EntityUnavailableException"/> while the control database does not answer.</remarks>
[Alias("cdc.IOperationsGrain")]
public interface IOperationsGrain : IGrainWithStringKey
{
    /// <summary>The key of the grain.</summary>
    const string Key = "operations";

    /// <summary>Most dead letters that one call decides about.</summary>
    const int MostDecisions = 1000;

    /// <inheritdoc cref="IDeadLetterStore.List" />
    [Alias("ListLetters")]
    Task<LetterSummary[]> ListLetters(LetterFilter filter, long after, int limit);

    /// <inheritdoc cref="IDeadLetterStore.Get" />
    [Alias("GetLetter")]
    Task<StoredLetter?> GetLetter(long id);

    /// <inheritdoc cref="IDeadLetterStore.Groups" />
    [Alias("GroupLetters")]
    Task<LetterGroup[]> GroupLetters(LetterFilter filter);

    /// <summary>Delivers dead letters again, or those of a group, <see cref="MostDecisions"/> at most.</summary>
    [Alias("Redeliver"), ResponseTimeout("00:00:40")]
    Task<Decision> Redeliver(LetterSelection selection, RedeliverAs what, string who);

    /// <summary>Deletes dead letters, or those of a group, <see cref="MostDecisions"/> at most.</summary>
    [Alias("Discard"), ResponseTimeout("00:00:40")]
    Task<Decision> Discard(LetterSelection selection, string who);

    /// <inheritdoc cref="IParkedQueries.List" />
    [Alias("ListParked")]
    Task<ParkedSummary[]> ListParked(LetterFilter filter, long after, int limit);

    /// <summary>Tries parked events of a sink now. Returns the number of entities, counted for each source.</summary>
    [Alias("RetryParked"), ResponseTimeout("00:00:40")]
    Task<int> RetryParked(LetterFilter filter, string who);

    /// <summary>Returns all sinks: those that are configured, and those for which something is stored or that are paused.</summary>
    /// <param name="age">How old the counts of what is stored may be.</param>
    [Alias("GetSinks")]
    Task<SinkView[]> GetSinks(TimeSpan age);

    /// <summary>Asks a sink on one silo whether its destination can be reached, within ten seconds. Sends no event.</summary>
    [Alias("TestSink"), ResponseTimeout("00:00:40")]
    Task<SinkTesting> TestSink(string sink);

    /// <summary>Pauses a sink: nothing is passed to it until it is resumed. Every silo knows it within about a second, and after a restart.</summary>
    [Alias("PauseSink"), ResponseTimeout("00:00:40")]
    Task<SinkPausing> PauseSink(string sink, string who);

    /// <summary>Ends the pause of a sink, and makes what is parked for it due now.</summary>
    [Alias("ResumeSink"), ResponseTimeout("00:00:40")]
    Task<SinkPausing> ResumeSink(string sink, string who);

    /// <inheritdoc cref="IAuditStore.List" />
    [Alias("ListAudit")]
    Task<AuditEntry[]> ListAudit(long before, int limit);
}

/// <summary>Which dead letters are decided about: some ids, or a group.</summary>
/// <param name="Ids">The ids; null for a group.</param>
/// <param name="Fingerprint">What those of the group have in common; null for ids.</param>
/// <param name="Sink">Only those of this sink; null for all.</param>
/// <param name="After">Of a group, those with a higher id.</param>
[GenerateSerializer, Immutable, Alias("cdc.LetterSelection")]
public sealed record LetterSelection(
    [property: Id(0)] long[]? Ids, [property: Id(1)] string? Fingerprint = null, [property: Id(2)] string? Sink = null, [property: Id(3)] long After = 0);

/// <summary>What came of a decision.</summary>
/// <param name="Accepted">Dead letters that were deleted, or whose events are on their way again.</param>
/// <param name="Refused">Those that stay as they are, each with the reason.</param>
/// <param name="Unknown">Ids without a dead letter.</param>
/// <param name="Last">The last id that was looked at.</param>
/// <param name="HasMore">Whether the group has more dead letters.</param>
[GenerateSerializer, Immutable, Alias("cdc.Decision")]
public sealed record Decision(
    [property: Id(0)] int Accepted, [property: Id(1)] LetterRefusal[] Refused, [property: Id(2)] long[] Unknown, [property: Id(3)] long Last,
    [property: Id(4)] bool HasMore);
