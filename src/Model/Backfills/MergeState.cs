using CdcOrleans.Model.Changes;

namespace CdcOrleans.Model.Backfills;

/// <summary>What an entity knows about its row, as far as merging needs it. The default is an entity without any state.</summary>
public readonly record struct MergeState
{
    /// <summary>
    /// Version of the last change that was applied, or skipped because a chunk had it; <see cref="ChangeVersion.None"/> before the first one.
    /// After a truncation of the table, each of its entities without a state has that of the truncation.
    /// </summary>
    public ChangeVersion Version { get; init; }

    /// <summary>The full transaction id of that change; 0 when it is not known.</summary>
    public ulong Xid { get; init; }

    /// <summary>Whether there is a row: the last change or chunk did not delete it.</summary>
    public bool Exists { get; init; }

    /// <summary>Whether values of the row are not known, because the log left them out and nothing was stored to take them from.</summary>
    public bool IsIncomplete { get; init; }

    /// <summary>The chunk that set the row last; null without one, and when its fence has been passed.</summary>
    public ChunkSnapshot? Included { get; init; }

    /// <summary>The state after a change of the log for which <see cref="BackfillMerge.OfChange"/> says <see cref="ChangeDecision.Apply"/>.</summary>
    public MergeState Applied(ChangeVersion version, ulong xid, bool exists, bool isIncomplete = false) =>
        this with { Version = version, Xid = xid, Exists = exists, IsIncomplete = isIncomplete };

    /// <summary>
    /// The state after one for which it says <see cref="ChangeDecision.Included"/>. The row stays, but version and id are those of the change:
    /// they tell that a chunk that was read before it, and is merged later, is too old.
    /// </summary>
    public MergeState Skipped(ChangeVersion version, ulong xid) => this with { Version = version, Xid = xid };

    /// <summary>The state after a chunk for which <see cref="BackfillMerge"/> says <see cref="ChunkDecision.Replace"/>.</summary>
    public MergeState Replaced(ChunkSnapshot chunk, bool exists, bool isIncomplete = false) =>
        this with { Exists = exists, IsIncomplete = isIncomplete, Included = chunk };

    /// <summary>The state when everything that commits before a position has been read.</summary>
    public MergeState Read(Lsn position) => Included is { } included && included.IsPassed(position) ? this with { Included = null } : this;
}
