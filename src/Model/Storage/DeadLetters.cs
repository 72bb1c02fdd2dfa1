using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Model.Storage;

/// <summary>
/// The dead letters, for people who look at them and decide about them. They are written by checkpoints. The questions share a few
/// connections with <see cref="IStateQueries"/>. Every method throws <see cref="StateUnavailableException"/> while the control database
/// does not answer. Safe for concurrent use.
/// </summary>
public interface IDeadLetterStore
{
    /// <summary>Returns dead letters, without their events, in the order of their ids.</summary>
    /// <param name="filter">Which ones.</param>
    /// <param name="after">Those with a higher id; 0 for the first.</param>
    /// <param name="limit">Most of them.</param>
    /// <param name="cancellation">Cancels.</param>
    Task<IReadOnlyList<LetterSummary>> List(LetterFilter filter, long after, int limit, CancellationToken cancellation);

    /// <summary>
    /// Returns a dead letter with its event; null when there is none. Key and value of an event of more than <see cref="StoredLetter.MostShown"/>
    /// bytes are left out.
    /// </summary>
    Task<StoredLetter?> Get(long id, CancellationToken cancellation);

    /// <summary>Returns what went wrong, by sink and table, the most frequent first; 1000 at most.</summary>
    Task<IReadOnlyList<LetterGroup>> Groups(LetterFilter filter, CancellationToken cancellation);

    /// <summary>Returns those of some dead letters that exist, without their events.</summary>
    Task<IReadOnlyList<LetterSummary>> Find(IReadOnlyCollection<long> ids, CancellationToken cancellation);

    /// <summary>
    /// Claims dead letters for a partition that sends them again, and returns those that it got, with their events. Nobody else can claim
    /// or discard them, until they are released, or the partition has a later generation.
    /// </summary>
    Task<IReadOnlyList<StoredLetter>> Claim(string source, IReadOnlyCollection<long> ids, long generation, CancellationToken cancellation);

    /// <summary>Gives back claimed dead letters that are not sent.</summary>
    Task Release(IReadOnlyCollection<long> ids, long generation, CancellationToken cancellation);

    /// <summary>Deletes dead letters that are not claimed and not being sent again. Returns those that it deleted.</summary>
    Task<IReadOnlyList<LetterPlace>> Discard(string source, IReadOnlyCollection<long> ids, long generation, CancellationToken cancellation);
}

/// <summary>Selects dead letters. What is null selects all.</summary>
public sealed record LetterFilter
{
    /// <summary>Name of the source.</summary>
    public string? Source { get; init; }

    /// <summary>Name of the sink.</summary>
    public string? Sink { get; init; }

    /// <summary><c>schema.table</c>.</summary>
    public string? Table { get; init; }

    /// <summary>Canonical key text.</summary>
    public string? Key { get; init; }

    /// <summary>What went wrong (<see cref="LetterSummary.Fingerprint"/>).</summary>
    public string? Fingerprint { get; init; }
}

/// <summary>The entity and the sink of a dead letter.</summary>
/// <param name="Id">The dead letter.</param>
/// <param name="Sink">The sink.</param>
/// <param name="Entity">The entity.</param>
public readonly record struct LetterPlace(long Id, string Sink, EntityKey Entity);

/// <summary>A dead letter without its event.</summary>
public sealed record LetterSummary
{
    /// <summary>Its number.</summary>
    public required long Id { get; init; }

    /// <summary>The source.</summary>
    public required string Source { get; init; }

    /// <summary>The sink that refused it.</summary>
    public required string Sink { get; init; }

    /// <summary>The entity.</summary>
    public required EntityKey Entity { get; init; }

    /// <summary>Version of its change.</summary>
    public required ChangeVersion Version { get; init; }

    /// <summary>Number of the event among those of its change.</summary>
    public required int Part { get; init; }

    /// <summary>The topic.</summary>
    public required string Topic { get; init; }

    /// <summary>Whether there is an event. Not so when no format could write the change, or when the event was too large to be stored.</summary>
    public required bool HasEvent { get; init; }

    /// <summary>Number of the table schema that the event follows; 0 when it is not known.</summary>
    public required int SchemaVersion { get; init; }

    /// <summary>Why the event was sent.</summary>
    public required EventOrigin Origin { get; init; }

    /// <summary>How often it was tried.</summary>
    public required int Attempts { get; init; }

    /// <summary>When it was tried first.</summary>
    public required DateTimeOffset FirstFailedAt { get; init; }

    /// <summary>When it was refused, or given up.</summary>
    public required DateTimeOffset LastFailedAt { get; init; }

    /// <summary>The last error, in the words of the sink.</summary>
    public required string Error { get; init; }

    /// <summary>A hash of sink, table and error without numbers and quoted text: what went wrong.</summary>
    public required string Fingerprint { get; init; }

    /// <summary>Bytes of key and value.</summary>
    public required long Bytes { get; init; }

    /// <summary>Whether it is being sent again: its event is among the parked ones.</summary>
    public required bool IsRedelivering { get; init; }
}

/// <summary>A dead letter with its event.</summary>
/// <param name="Summary">What it is.</param>
/// <param name="Key">The event's key; null for none.</param>
/// <param name="Value">The event's value; null for a tombstone.</param>
/// <param name="Headers">Headers of the event; null for none.</param>
public sealed record StoredLetter(LetterSummary Summary, byte[]? Key, byte[]? Value, IReadOnlyList<KeyValuePair<string, byte[]>>? Headers)
{
    /// <summary>Bytes of the largest event that is shown to people.</summary>
    public const int MostShown = 4 << 20;
}

/// <summary>Dead letters of one sink and table that failed for the same reason.</summary>
public sealed record LetterGroup
{
    /// <summary>What they have in common.</summary>
    public required string Fingerprint { get; init; }

    /// <summary>The source.</summary>
    public required string Source { get; init; }

    /// <summary>The sink.</summary>
    public required string Sink { get; init; }

    /// <summary><c>schema.table</c>.</summary>
    public required string Table { get; init; }

    /// <summary>Error of the newest one.</summary>
    public required string Error { get; init; }

    /// <summary>Number of dead letters.</summary>
    public required long Count { get; init; }

    /// <summary>When the first of them was tried first.</summary>
    public required DateTimeOffset FirstFailedAt { get; init; }

    /// <summary>When the last of them was refused.</summary>
    public required DateTimeOffset LastFailedAt { get; init; }
}

/// <summary>What became of a dead letter whose event was sent again.</summary>
/// <param name="Id">The dead letter.</param>
/// <param name="Event">Its event among the parked ones.</param>
/// <param name="Attempts">How often it was tried this time.</param>
/// <param name="Failure">Why it was refused; null when it was delivered, and the letter is over.</param>
public sealed record LetterOutcome(long Id, ParkedEventId Event, int Attempts, string? Failure);
