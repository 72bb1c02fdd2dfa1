using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Interfaces.Replays;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Grains.Partitions;

/// <content>Replays of its entities (<see cref="PartitionReplays"/>).</content>
internal sealed partial class Partition
{
    /// <summary>Returns a part of a replay that was taken before; null when it was not.</summary>
    public ReplayWork? FindReplay(ReplaySlice slice) => _replays.Find(slice);

    /// <summary>Takes a part of a replay.</summary>
    public ReplayWork Replay(ReplaySlice slice, TableSchema table, SinkTarget target)
    {
        var work = _replays.Take(slice, table, target);
        EndTurn();
        return work;
    }

    /// <summary>Forgets a part of a replay whose end was answered.</summary>
    public void ReplayAnswered(ReplaySlice slice) => _replays.Answered(slice);

    /// <inheritdoc cref="ParkedEntities.HistoriesAreRead" />
    public Task HistoriesAreRead => _parked.HistoriesAreRead;

    /// <summary>
    /// Begins no entity of some tables any more, for a replay or a backfill, until <see cref="ReleaseReplays"/>, because their stored rows are
    /// about to be deleted. Completes when none is under way, and what came of them is durable.
    /// </summary>
    public async Task HoldReplays(int[] tables)
    {
        await Task.WhenAll(_replays.Hold(tables), _backfills.Hold(tables)).ConfigureAwait(false);

        // A row of a backfill that is still in the buffer would be stored after the deletion.
        await Buffer.WhenDurable().ConfigureAwait(false);
    }

    /// <summary>Goes on with all tables.</summary>
    public void ReleaseReplays()
    {
        _replays.Release(null);
        _backfills.Release();
    }
}
