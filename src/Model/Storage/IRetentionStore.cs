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
}
