using CdcOrleans.Model.Changes;

namespace CdcOrleans.Model.Backfills;

/// <summary>
/// A moment of the source before which nothing is left to chance. A chunk may be read when all transactions below <see cref="Xid"/> have ended
/// (<see cref="IsSettledIn"/>). Two things need this:
/// <list type="bullet">
/// <item>
/// What the stream does not tell must be in the rows. When a slot is created, or a table is added to the publication, transactions may be
/// open whose changes are not streamed: those that commit before the slot's first position and are not visible yet, and those that changed the table
/// before it was added. They are older than a horizon that is taken afterwards.
/// </item>
/// <item>
/// Entities that were changed before <see cref="Lsn"/> need no transaction id: every transaction that committed before it has an id below
/// <see cref="Xid"/>, because the position was read first. So such changes are visible in every chunk of the backfill.
/// </item>
/// </list>
/// </summary>
/// <param name="Lsn">The end of the log, read before <see cref="Xid"/> was assigned.</param>
/// <param name="Xid">A full transaction id that the server assigned then.</param>
public sealed record BackfillHorizon(Lsn Lsn, ulong Xid)
{
    /// <summary>No horizon: nothing is awaited, and no change counts as old.</summary>
    public static BackfillHorizon None { get; } = new(Lsn.None, 0);

    /// <summary>Whether all transactions before the horizon had ended when the snapshot was taken.</summary>
    public bool IsSettledIn(TransactionSnapshot snapshot)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        return snapshot.Xmin >= Xid;
    }
}
