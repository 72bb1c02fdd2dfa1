using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Model.Storage;

/// <summary>Deletes what the control database needs no longer. Safe for concurrent use by several silos: one works, the others get null.</summary>
public interface IRetentionStore
{
    /// <summary>
    /// Deletes delete markers of a certain age. A marker stays while an older change of its entity could still be applied: until the
    /// confirmed position of its source is past it.
    /// </summary>
    /// <param name="age">The least age.</param>
    /// <param name="most">The most markers to delete.</param>
    /// <param name="cancellation">Cancels.</param>
    /// <returns>How many were deleted; null while another silo deletes.</returns>
    Task<int?> PurgeDeleteMarkers(TimeSpan age, int most, CancellationToken cancellation);

    /// <summary>Deletes dead letters of a certain age.</summary>
    /// <param name="age">The least age.</param>
    /// <param name="most">The most dead letters to delete.</param>
    /// <param name="cancellation">Cancels.</param>
    /// <returns>How many were deleted; null while another silo deletes.</returns>
    Task<int?> PurgeDeadLetters(TimeSpan age, int most, CancellationToken cancellation);

    /// <summary>
    /// Looks after the journal of a table: measures it, begins a new segment when the newest one is large or old enough, and deletes the
    /// oldest segments beyond the bounds. Checkpoints of the table wait meanwhile.
    /// </summary>
    /// <param name="tableId">Number of the table in the schema store.</param>
    /// <param name="options">The bounds; null for those of the last call that had some.</param>
    /// <param name="cancellation">Cancels.</param>
    /// <returns>How many segments were deleted; null while another silo deletes.</returns>
    Task<int?> SweepJournal(int tableId, JournalOptions? options, CancellationToken cancellation);

    /// <summary>Deletes entries of the audit log of a certain age.</summary>
    /// <param name="age">The least age.</param>
    /// <param name="most">The most entries to delete.</param>
    /// <param name="cancellation">Cancels.</param>
    /// <returns>How many were deleted; null while another silo deletes.</returns>
    Task<int?> PurgeAudit(TimeSpan age, int most, CancellationToken cancellation);
}
