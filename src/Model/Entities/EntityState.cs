using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Model.Entities;

/// <summary>Why the store has no row of an entity that has one.</summary>
public enum RowAbsence : byte
{
    /// <summary>It has the row, or there is none to store: the entity was deleted, or its table stores versions only.</summary>
    None,

    /// <summary>The row is larger than the store keeps.</summary>
    TooLarge,

    /// <summary>What is stored cannot be read any more.</summary>
    Unreadable,

    /// <summary>What is stored is from before a gap, and it is not known what has become of it.</summary>
    Doubtful,
}

/// <summary>The state of an entity: the last applied version and the current row. Immutable.</summary>
/// <param name="Version">The last applied version.</param>
/// <param name="Table">Schema of <paramref name="Row"/>.</param>
/// <param name="Row">The current row. Absent when <paramref name="Deleted"/>, and for tables with <c>entities: version</c>.</param>
/// <param name="Deleted">Whether the last change deleted the row. The state is then a delete marker.</param>
public sealed record EntityState(ChangeVersion Version, TableSchema Table, RowImage Row, bool Deleted)
{
    /// <summary>Why the row is absent although there is one.</summary>
    public RowAbsence Absence { get; init; }

    /// <summary>
    /// Whether it is not known what has become of the row since it was stored, because changes are missing. Such a state has no version. It
    /// tells what was delivered last, so a repair can tell the difference; it completes no event.
    /// </summary>
    public bool IsDoubtful => Version == ChangeVersion.None;

    /// <summary>
    /// The transaction id of the last change, as the log has it (32 bits); 0 when it is not known. When a chunk of a backfill told the row and
    /// there was no such change, an id that the chunk's snapshot shows.
    /// </summary>
    public uint Xid { get; init; }

    /// <summary>The chunk of a backfill that told the row; null when none did, and when the stream has passed its fence.</summary>
    public StoredChunk? Chunk { get; init; }

    /// <summary>Returns what merging needs to know of an entity.</summary>
    /// <param name="state">Its state; null when there is none.</param>
    /// <param name="reference">A full transaction id of about the same time (<see cref="TransactionIds.Widen"/>).</param>
    public static MergeState MergeOf(EntityState? state, ulong reference) => state is null
        ? default
        : new MergeState
        {
            Version = state.Version,
            Xid = TransactionIds.Widen(state.Xid, reference),
            Exists = !state.Deleted,
            IsIncomplete = state is { Deleted: false, Row.HasUnchanged: true },
            Included = state.Chunk?.Snapshot,
        };

    /// <summary>Approximate size in memory, in bytes.</summary>
    public int Size => 64 + Row.Size;
}
