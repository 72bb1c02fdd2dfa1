using CdcOrleans.Model.Changes;

namespace CdcOrleans.Model.Backfills;

/// <summary>What an entity does with what a chunk tells of its row.</summary>
public enum ChunkDecision
{
    /// <summary>The chunk has everything that the entity has: its row, or the absence of one, becomes that of the entity.</summary>
    Replace,

    /// <summary>The entity stays as it is: it has changes that the chunk does not have.</summary>
    Keep,

    /// <summary>
    /// The chunk cannot tell it, and the entity is not complete without it. The row must be read again, by its key, with a later snapshot.
    /// </summary>
    ReadAgain,
}

/// <summary>What an entity does with a change of the log.</summary>
public enum ChangeDecision
{
    /// <summary>It is applied.</summary>
    Apply,

    /// <summary>The row has it already, from a chunk. It makes no event, and its version is recorded.</summary>
    Included,

    /// <summary>It was applied before.</summary>
    Duplicate,
}

/// <summary>
/// Merges what chunks have read with what the log tells, by visibility. Pure.
/// </summary>
/// <remarks>
/// Why it is right. The changes of one entity have an order: who changes a row, or takes its key, waits until the transaction that did so
/// before has ended for snapshots. So the log has them in the order in which they became visible, and those that a snapshot shows are a
/// first part of them. The entity has applied a first part, too. Of two first parts one contains the other: if the snapshot shows the last
/// change that was applied, it shows all of them, and the chunk's row is as new or newer; if it does not, the entity is newer. After the
/// row was taken, the log still brings the rest of the snapshot's part, which is skipped, and then the changes that are new.
/// Positions in the log cannot replace this: a commit record may be in the log long before its transaction is visible.
/// </remarks>
public static class BackfillMerge
{
    /// <summary>Decides about a row of a chunk.</summary>
    /// <param name="entity">What the entity knows. When it has no state and its table was truncated, the truncation counts as its last change.</param>
    /// <param name="chunk">The snapshot of the chunk.</param>
    /// <param name="horizon">The horizon of the backfill.</param>
    public static ChunkDecision OfRow(in MergeState entity, ChunkSnapshot chunk, BackfillHorizon horizon) => Decide(in entity, chunk, horizon);

    /// <summary>
    /// Decides about a key that a chunk read and did not find. Only a chunk without a filter tells that. If the row is to be
    /// replaced, the entity is deleted.
    /// </summary>
    /// <param name="entity">What the entity knows.</param>
    /// <param name="chunk">The snapshot of the chunk.</param>
    /// <param name="horizon">The horizon of the backfill.</param>
    public static ChunkDecision OfAbsence(in MergeState entity, ChunkSnapshot chunk, BackfillHorizon horizon) =>
        entity.Exists ? Decide(in entity, chunk, horizon) : ChunkDecision.Keep;

    /// <summary>Decides about a change of the log.</summary>
    /// <param name="entity">What the entity knows.</param>
    /// <param name="version">The version of the change.</param>
    /// <param name="xid">Its full transaction id.</param>
    public static ChangeDecision OfChange(in MergeState entity, ChangeVersion version, ulong xid)
    {
        if (version <= entity.Version)
            return ChangeDecision.Duplicate;
        return entity.Included is { } included && included.Includes(version.CommitLsn, xid) ? ChangeDecision.Included : ChangeDecision.Apply;
    }

    private static ChunkDecision Decide(in MergeState entity, ChunkSnapshot chunk, BackfillHorizon horizon)
    {
        ArgumentNullException.ThrowIfNull(chunk);
        ArgumentNullException.ThrowIfNull(horizon);

        // Without a horizon that is settled, the chunk may lack what the stream never tells.
        if (!horizon.IsSettledIn(chunk.Snapshot))
            return ChunkDecision.ReadAgain;

        // Chunks may be read and merged in any order, and twice.
        if (entity.Included is { } included && (included.Snapshot.Equals(chunk.Snapshot) || !included.Snapshot.IsIncludedIn(chunk.Snapshot)))
            return ChunkDecision.Keep;
        if (entity.Version == ChangeVersion.None || entity.Version.CommitLsn < horizon.Lsn)
            return ChunkDecision.Replace;
        if (entity.Xid == 0)
            return ChunkDecision.ReadAgain;
        if (chunk.Snapshot.IsVisible(entity.Xid))
            return ChunkDecision.Replace;
        return entity.IsIncomplete ? ChunkDecision.ReadAgain : ChunkDecision.Keep;
    }
}
