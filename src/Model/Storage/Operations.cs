using CdcOrleans.Model.Entities;

namespace CdcOrleans.Model.Storage;

/// <summary>Reads what is parked, for people who look at it. Safe for concurrent use.</summary>
public interface IParkedQueries
{
    /// <summary>Returns entities with parked events, in the order of their ids.</summary>
    /// <param name="filter">Which ones; a fingerprint selects nothing here.</param>
    /// <param name="after">Those with a higher id; 0 for the first.</param>
    /// <param name="limit">Most of them.</param>
    /// <param name="cancellation">Cancels.</param>
    /// <exception cref="StateUnavailableException">The control database does not answer.</exception>
    Task<IReadOnlyList<ParkedSummary>> List(LetterFilter filter, long after, int limit, CancellationToken cancellation);
}

/// <summary>The parked events of one entity at one sink, without the events.</summary>
public sealed record ParkedSummary
{
    /// <summary>Its number, which it keeps while events are parked.</summary>
    public required long Id { get; init; }

    /// <summary>The source.</summary>
    public required string Source { get; init; }

    /// <summary>The sink.</summary>
    public required string Sink { get; init; }

    /// <summary>The entity.</summary>
    public required EntityKey Entity { get; init; }

    /// <summary>Number of events.</summary>
    public required int Events { get; init; }

    /// <summary>Bytes of the events.</summary>
    public required long Bytes { get; init; }

    /// <summary>Attempts of the oldest event.</summary>
    public required int Attempts { get; init; }

    /// <summary>When the oldest event was tried first.</summary>
    public required DateTimeOffset FirstTriedAt { get; init; }

    /// <summary>When it is tried next.</summary>
    public required DateTimeOffset DueAt { get; init; }

    /// <summary>The last failure; null when nothing was tried yet.</summary>
    public string? LastError { get; init; }

    /// <summary>Whether they wait until somebody decides about a dead letter.</summary>
    public required bool IsBlocked { get; init; }
}

/// <summary>Who changed what through the API. Safe for concurrent use.</summary>
public interface IAuditStore
{
    /// <summary>Adds an entry. Its id and its time are those of the store.</summary>
    /// <exception cref="StateUnavailableException">The control database does not answer.</exception>
    Task Add(AuditEntry entry, CancellationToken cancellation);

    /// <summary>Returns entries, the newest first.</summary>
    /// <param name="before">Those with a lower id; 0 for the newest.</param>
    /// <param name="limit">Most of them.</param>
    /// <param name="cancellation">Cancels.</param>
    /// <exception cref="StateUnavailableException">The control database does not answer.</exception>
    Task<IReadOnlyList<AuditEntry>> List(long before, int limit, CancellationToken cancellation);
}

/// <summary>One change through the API.</summary>
/// <param name="Id">Its number.</param>
/// <param name="At">When.</param>
/// <param name="Who">The user, or the address while there are no users.</param>
/// <param name="Operation">What was called.</param>
/// <param name="Arguments">With which arguments, as JSON without row data.</param>
/// <param name="Result">What came of it.</param>
public sealed record AuditEntry(long Id, DateTimeOffset At, string Who, string Operation, string Arguments, string Result);
