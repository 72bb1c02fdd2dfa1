using CdcOrleans.Model.Changes;

namespace CdcOrleans.Model.Backfills;

/// <summary>What the rows of a chunk include: the changes of every transaction that the snapshot shows.</summary>
/// <remarks>
/// Why the fence is right. A transaction first inserts its commit record into the log, and only then it ends for snapshots
/// (<c>RecordTransactionCommit</c>, then <c>ProcArrayEndTransaction</c>; likewise <c>COMMIT PREPARED</c>). So the commit record of each
/// transaction that the snapshot shows was in the log when the snapshot was taken, and begins before an end of the log that was read
/// afterwards. The reverse does not hold: a record before the fence may belong to a transaction that the snapshot does not show. So the
/// fence tells only how long the snapshot must be remembered, and never what it includes.
/// <para>
/// A standby does not tell which transactions its snapshot shows, but only one below which all have ended. So the snapshot of a chunk that
/// is read there is a lower bound: it has all ids below that one, and the rows may include more. Such a chunk is merged only when all changes
/// before its fence are applied. Its fence is the durable end of the source's log, read afterwards: a standby replays only what is durable at
/// the source. So an entity has everything that the rows include. If its last change is below the bound, the rows have that one too, and so
/// both are the same; if not, the entity is as new as the row or newer, and stays. What the log brings later is behind the fence and in no
/// row.
/// </para>
/// </remarks>
/// <param name="Snapshot">The snapshot; at a replica, what it shows at least.</param>
/// <param name="Fence">
/// The end of the source's log (<c>pg_current_wal_insert_lsn()</c>), read after the snapshot was taken. No transaction that commits at or after it is
/// visible in the snapshot.
/// </param>
public sealed record ChunkSnapshot(TransactionSnapshot Snapshot, Lsn Fence)
{
    /// <summary>Whether a change of the log is included.</summary>
    /// <param name="commit">Position of its commit record.</param>
    /// <param name="xid">Its full transaction id.</param>
    public bool Includes(Lsn commit, ulong xid) => commit < Fence && Snapshot.IsVisible(xid);

    /// <summary>
    /// Whether all changes that are included have been read from the log, so that the snapshot need not be remembered any more.
    /// </summary>
    /// <param name="read">Every change that commits before this position has been read.</param>
    public bool IsPassed(Lsn read) => read >= Fence;
}
