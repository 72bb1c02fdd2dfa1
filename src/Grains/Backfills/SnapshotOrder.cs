using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Backfills;

/// <summary>
/// Keeps the marks <c>first</c> and <c>last</c> of an initial backfill right, although several tables are read at the same time: no other
/// table begins before the first rows of the first table are merged, and the last rows of the last table are read when the others have ended.
/// Rows that must be read again may come later. Other backfills have no such marks, and no such order. Safe for concurrent use.
/// </summary>
internal sealed class SnapshotOrder
{
    private readonly TaskCompletionSource<bool> _isBegun = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<bool> _isLast = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly int _first;
    private readonly int _last;
    private readonly bool _isInitial;
    private int _others;

    /// <param name="backfill">The backfill, as it was when it began to run here.</param>
    public SnapshotOrder(StoredBackfill backfill)
    {
        (_first, _last, _isInitial) = (backfill.Tables[0].Place, backfill.Tables[^1].Place, backfill.Kind == BackfillKind.Initial);
        _others = backfill.Tables.Count(t => !t.IsDone && t.Place != _last);
        if (!_isInitial || _others == 0)
            _isLast.SetResult(true);
        if (!_isInitial || backfill.Tables[0] is { IsDone: true } or { After: not null })
            _isBegun.SetResult(true);
    }

    /// <summary>Completed when a table may begin.</summary>
    public Task<bool> MayBegin(BackfillTable table) => table.Place == _first ? Task.FromResult(true) : _isBegun.Task;

    /// <summary>Completed when the last rows of a table may be read.</summary>
    public Task<bool> MayEnd(BackfillTable table) => table.Place == _last ? _isLast.Task : Task.FromResult(true);

    /// <summary>Whether the last row of a table is marked as the last one of the backfill.</summary>
    public bool HasLast(BackfillTable table) => _isInitial && table.Place == _last;

    /// <summary>Returns the mark of a row, as Debezium has it. A row can have several of them; the order is Debezium's.</summary>
    /// <param name="table">Its table.</param>
    /// <param name="isFirst">Whether it is the first one of the table.</param>
    /// <param name="isLast">Whether it is the last one of the table.</param>
    public SnapshotMark MarkOf(BackfillTable table, bool isFirst, bool isLast) => (isFirst, isLast) switch
    {
        _ when !_isInitial => SnapshotMark.Incremental,
        (_, true) when table.Place == _last => SnapshotMark.Last,
        (true, _) when table.Place == _first => SnapshotMark.First,
        (_, true) => SnapshotMark.LastInTable,
        (true, _) => SnapshotMark.FirstInTable,
        _ => SnapshotMark.Row,
    };

    /// <summary>Rows of a table are merged.</summary>
    public void Merged(BackfillTable table)
    {
        if (table.Place == _first)
            _isBegun.TrySetResult(true);
    }

    /// <summary>A table has ended, whether it could be read or not.</summary>
    public void Ended(BackfillTable table)
    {
        Merged(table);
        if (table.Place != _last && Interlocked.Decrement(ref _others) == 0)
            _isLast.TrySetResult(true);
    }
}
