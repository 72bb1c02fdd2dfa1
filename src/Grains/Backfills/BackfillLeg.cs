using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Changes;

namespace CdcOrleans.Grains.Backfills;

/// <summary>
/// What chunks rely on, from one horizon to the next. When a partition has another activation than the leg knows, a new leg begins, because
/// that activation may not know what the chunks that were read before do not show.
/// </summary>
/// <param name="Horizon">The horizon. All transactions before it have ended, and all changes that commit before it are durable in every partition.</param>
/// <param name="Generations">The generation of each partition's activation.</param>
internal sealed record BackfillLeg(BackfillHorizon Horizon, long[] Generations)
{
    /// <summary>No row of the leg gets a lower version.</summary>
    public Lsn Position => Horizon.Lsn;
}

/// <summary>The chunk must be read again, after a new horizon.</summary>
internal sealed class LegEndedException() : Exception("A new horizon is needed.");

/// <summary>
/// The table must be read from its start: what was told of its rows was forgotten, or they may have changed without an event. The message
/// says why, as a part of a sentence.
/// </summary>
internal sealed class TableAlteredException(string message) : Exception(message);

/// <summary>A backfill cannot go on; the message says why, with the remedy.</summary>
internal sealed class BackfillProblemException(string message) : Exception(message);
