using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Interfaces.Backfills;

namespace CdcOrleans.Grains.Partitions;

/// <content>Rows of backfills for its entities (<see cref="PartitionBackfills"/>).</content>
internal sealed partial class Partition
{
    /// <summary>Returns rows that were taken before; null when they were not.</summary>
    public BackfillWork? FindRows(ChunkSlice.Place at) => _backfills.Find(at);

    /// <inheritdoc cref="PartitionBackfills.FindRoom" />
    public RowsRoom? FindRoom(ChunkSlice.Place at) => _backfills.FindRoom(at);

    /// <inheritdoc cref="PartitionBackfills.TakeRoom" />
    public RowsRoom? TakeRoom(ChunkSlice slice)
    {
        var room = _backfills.TakeRoom(slice);
        EndTurn();
        return room;
    }

    /// <inheritdoc cref="PartitionBackfills.MayBeOutdated" />
    public bool MayBeOutdated(ChunkSlice slice) => _backfills.MayBeOutdated(slice);

    /// <summary>Takes rows.</summary>
    public BackfillWork Merge(ChunkSlice slice)
    {
        var work = _backfills.Take(slice);
        EndTurn();
        return work;
    }

    /// <summary>Forgets rows whose end was answered.</summary>
    public void RowsAnswered(ChunkSlice.Place at) => _backfills.Answered(at);

    /// <inheritdoc cref="PartitionBackfills.Watch" />
    public void Watch(long backfill, int table, string name, TableWatch watch) => _backfills.Watch(backfill, table, name, watch);

    /// <inheritdoc cref="PartitionBackfills.IsForgotten" />
    public bool IsForgotten(int table) => _backfills.IsForgotten(table);

    /// <inheritdoc cref="PartitionBackfills.TakeIncomplete" />
    public string[]? TakeIncomplete(int table) => _backfills.TakeIncomplete(table);
}
