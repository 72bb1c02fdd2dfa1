using CdcOrleans.Model.Changes;

namespace CdcOrleans.Model.Storage;

/// <summary>
/// Reads from journals what a replay sends: which entities changed, and the changes of each entity, the oldest first. Safe for concurrent
/// use.
/// </summary>
/// <remarks>Every method throws <see cref="StateUnavailableException"/> while the control database does not answer.</remarks>
public interface IJournalHistories
{
    /// <summary>Returns the position of the last change in the journal of a table; <see cref="JournalPosition.Start"/> when it has none.</summary>
    /// <param name="source">The source.</param>
    /// <param name="table">The table, as schema.table.</param>
    /// <param name="cancellation">Cancels.</param>
    Task<JournalPosition> Last(string source, string table, CancellationToken cancellation);

    /// <summary>Counts the changes of a window, up to <see cref="MostCounted"/>. Truncations do not count.</summary>
    /// <param name="source">The source.</param>
    /// <param name="table">The table, as schema.table.</param>
    /// <param name="keys">Only those of the entities with these keys; null for all.</param>
    /// <param name="window">Which ones.</param>
    /// <param name="cancellation">Cancels.</param>
    Task<long> Count(string source, string table, IReadOnlyList<string>? keys, JournalWindow window, CancellationToken cancellation);

    /// <summary>Up to so many changes are counted.</summary>
    const int MostCounted = 1_000_000;

    /// <summary>
    /// Looks at the next changes of a table, in their order, and returns the keys of the entities that have their first change of the window
    /// there.
    /// </summary>
    /// <param name="source">The source.</param>
    /// <param name="table">The table, as schema.table.</param>
    /// <param name="after">Changes after this position.</param>
    /// <param name="last">Changes up to this position.</param>
    /// <param name="window">Which ones.</param>
    /// <param name="most">Most changes that are looked at.</param>
    /// <param name="cancellation">Cancels.</param>
    Task<JournalStarts> Starts(
        string source, string table, JournalPosition after, JournalPosition last, JournalWindow window, int most, CancellationToken cancellation);

    /// <summary>
    /// Returns the next changes of some entities of a table, those of each entity in order. An entity that a truncation of its table ended
    /// gets a deletion, which has the version of the truncation.
    /// </summary>
    /// <param name="source">The source.</param>
    /// <param name="table">The table, as schema.table.</param>
    /// <param name="entities">The entities.</param>
    /// <param name="window">Which changes.</param>
    /// <param name="most">Most changes of each entity.</param>
    /// <param name="mostBytes">Bytes of images after which no further change is read. At least one change is returned, if there is one.</param>
    /// <param name="cancellation">Cancels.</param>
    /// <returns>A page of each entity, in the order of <paramref name="entities"/>.</returns>
    Task<IReadOnlyList<JournalHistory>> Histories(
        string source, string table, IReadOnlyList<HistoryPlace> entities, JournalWindow window, int most, long mostBytes, CancellationToken cancellation);
}

/// <summary>Entities whose first changes were found.</summary>
/// <param name="Keys">Their keys, in the order of these changes.</param>
/// <param name="After">The last position that was looked at; null when there was no change.</param>
public sealed record JournalStarts(IReadOnlyList<string> Keys, JournalPosition? After);

/// <summary>How far the history of an entity was read.</summary>
/// <param name="Key">The entity's key.</param>
/// <param name="UpTo">Changes with a higher version are not read.</param>
public sealed record HistoryPlace(string Key, ChangeVersion UpTo)
{
    /// <summary>The last change that was read; null before the first. Truncations do not count.</summary>
    public JournalEntry? Last { get; init; }
}

/// <summary>Changes of one entity.</summary>
/// <param name="Changes">The changes, in order.</param>
/// <param name="Next">The place of the next page; null when this is the last one.</param>
/// <param name="Closing">
/// The last change of the entity, when it is behind the window. So whoever applies the changes does not end with an old row. Null when the
/// window has it, when there is no change in the window, or when this is not the last page.
/// </param>
public sealed record JournalHistory(IReadOnlyList<JournalRow> Changes, HistoryPlace? Next, JournalRow? Closing);
