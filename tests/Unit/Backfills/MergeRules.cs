using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Changes;

namespace CdcOrleans.Unit.Backfills;

/// <summary>The rules of the merge; a test replaces one of them by a wrong one, and must then fail.</summary>
internal sealed record MergeRules
{
    public static MergeRules Right { get; } = new();

    public Func<MergeState, ChunkSnapshot, BackfillHorizon, ChunkDecision> OfRow { get; init; } = (e, c, h) => BackfillMerge.OfRow(e, c, h);

    public Func<MergeState, ChunkSnapshot, BackfillHorizon, ChunkDecision> OfAbsence { get; init; } = (e, c, h) => BackfillMerge.OfAbsence(e, c, h);

    public Func<MergeState, ChangeVersion, ulong, ChangeDecision> OfChange { get; init; } = (e, v, x) => BackfillMerge.OfChange(e, v, x);

    public Func<MergeState, ChangeVersion, ulong, MergeState> Skipped { get; init; } = (e, v, x) => e.Skipped(v, x);

    public Func<MergeState, Lsn, MergeState> Read { get; init; } = (e, p) => e.Read(p);

    public Func<uint, ulong, ulong> Widen { get; init; } = TransactionIds.Widen;

    /// <summary>Whether chunks wait for the horizon.</summary>
    public bool AwaitsHorizon { get; init; } = true;

    /// <summary>Whether a truncation counts for entities without a state.</summary>
    public bool RemembersTruncations { get; init; } = true;

    /// <summary>Whether the row of a former key is used only when the change is new to that key.</summary>
    public bool AsksFormerKey { get; init; } = true;

    /// <summary>Whether what cannot be told, or is not complete, is read again.</summary>
    public bool ReadsAgain { get; init; } = true;
}
