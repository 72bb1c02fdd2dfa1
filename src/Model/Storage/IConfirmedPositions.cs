using CdcOrleans.Model.Changes;

namespace CdcOrleans.Model.Storage;

/// <summary>
/// The confirmed position of each source: the position in the log up to which the reader has confirmed changes to the server. It is written
/// to the control database before it is sent to the server. So the slot can never be ahead of it, unless somebody moved the slot or created
/// it again. Safe for concurrent use.
/// </summary>
public interface IConfirmedPositions
{
    /// <summary>Reads the confirmed position of a source; null before its first start.</summary>
    Task<ConfirmedPosition?> Find(string source, CancellationToken cancellation);

    /// <summary>Stores the confirmed position of a source.</summary>
    /// <exception cref="StaleOwnerException">The epoch is not the store's current one.</exception>
    Task Set(string source, long epoch, ServerLog log, Lsn confirmed, CancellationToken cancellation);

    /// <summary>
    /// Resets a source after a gap was accepted: deletes its stored rows or marks them as doubtful
    /// (<see cref="Entities.EntityState.IsDoubtful"/>), deletes the progress of its partitions, the history of its relations and the acceptance itself. Then stores the confirmed position. The caller must end the activations of its partitions. Calling it again
    /// is harmless.
    /// </summary>
    /// <exception cref="StaleOwnerException">The epoch is not the store's current one.</exception>
    /// <param name="source">The source.</param>
    /// <param name="epoch">The epoch of the reader.</param>
    /// <param name="log">The log that is read from now on.</param>
    /// <param name="confirmed">The position at which it begins.</param>
    /// <param name="doubted">The tables whose stored rows are kept as doubtful, as <c>schema.table</c>; those of the others are deleted.</param>
    /// <param name="cancellation">Cancels.</param>
    Task Reset(string source, long epoch, ServerLog log, Lsn confirmed, IReadOnlyCollection<string> doubted, CancellationToken cancellation);
}

/// <summary>The confirmed position of a source, and the log that it belongs to.</summary>
/// <param name="Log">The log that was read.</param>
/// <param name="Confirmed">The highest position that may have been sent to the server.</param>
/// <param name="GapAccepted">Whether a person has accepted, within the last hour, that changes are missing (<c>cdc.accept_gap</c>).</param>
public sealed record ConfirmedPosition(ServerLog Log, Lsn Confirmed, bool GapAccepted)
{
    /// <summary>
    /// A position within the commit record of the newest change that may have been delivered, or of which a state is stored. It may be
    /// higher than the confirmed position.
    /// </summary>
    public Lsn Delivered { get; init; }

    /// <summary>Position up to which the log must be the one that was read. Otherwise it lacks changes that were delivered.</summary>
    public Lsn Reached => Delivered > Confirmed ? Delivered : Confirmed;

    /// <summary>Takes into account that a change of this commit may have been delivered too.</summary>
    public ConfirmedPosition WithDelivered(Lsn commit) =>
        commit >= Delivered && !commit.IsNone ? this with { Delivered = new Lsn(commit.Value + 1) } : this;
}
