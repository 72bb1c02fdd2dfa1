using CdcOrleans.Grains.Entities;
using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;

namespace CdcOrleans.Grains.Sources;

/// <content>Changes that concern more than one entity: truncations, forgotten rows, and rows that move to another key.</content>
internal sealed partial class WalSession
{
    // Keeps the order around a truncation, across all partitions: changes before it are durable before it is sent, and it is durable before
    // changes after it are sent. Truncations in a row need no barrier between them.
    private async ValueTask Barrier(RowChange next, CancellationToken cancellation)
    {
        if (_afterTruncate && next.Operation == ChangeOperation.Truncate)
            return;
        await WaitUntilDurable(cancellation);
        _afterTruncate = false;
    }

    private async ValueTask WaitUntilDurable(CancellationToken cancellation)
    {
        FlushNow();
        await _window.WhenEmpty(cancellation);
    }

    // Everything before the truncation is durable, and no replay has a row of the table. Delete the table's stored rows; then the partitions
    // remove them from memory.
    private async Task Truncate(RowChange change, CancellationToken cancellation)
    {
        await HoldReplays([change.Table.TableId], change.Version, cancellation);
        await _wait.ForStore(
            $"the stored rows of {change.Table.FullName}, which was truncated, to be deleted",
            token => _store.Truncate(Source, Epoch, change.Table.TableId, change.Version, token), cancellation);
        for (var partition = 0; partition < _links.Length; partition++)
        {
            if (!_window.TryEnter(change.Size))
                await EnterWindow(change.Size, cancellation);
            Dispatch(change, partition);
        }

        _afterTruncate = true;
    }

    // A partition in which the truncation is durable does not get it again, so nothing would end the hold.
    private Task<bool[]> HoldReplays(int[] tables, ChangeVersion? truncation, CancellationToken cancellation)
    {
        var links = _links.Where((_, partition) => truncation is not { } version || !IsDurable(partition, version));
        return _wait.For("rows that a replay is sending", Task.WhenAll(links.Select(link => link.HoldReplays(tables, cancellation))));
    }

    // From here on, the rows of these tables have other keys or another table name, or their changes were not captured for a time. So the
    // stored rows are not certainly right any more. Wait until all earlier changes are durable, delete the stored rows, then make the
    // partitions remove them from memory. After a crash this item may be read again. Then only rows that are older than it are deleted.
    private async Task Forget(ForgottenTables forgotten, CancellationToken cancellation)
    {
        await WaitUntilDurable(cancellation);
        int[] tables = [.. forgotten.Tables];
        await HoldReplays(tables, null, cancellation);
        foreach (var table in tables)
        {
            await _wait.ForStore(
                "stored rows that are not valid any more to be deleted", token => _store.Truncate(Source, Epoch, table, forgotten.Version, token), cancellation);
        }

        await Task.WhenAll(_links.Select(link => link.Forget(tables, forgotten.Version, cancellation)));
    }

    // An update gave a row another key. The log reader makes two changes of it: a deletion with the old key, then a creation with the new
    // key. The log has no large values that did not change. They are only in the stored row of the old key, which is read here before the
    // deletion is sent.
    private async ValueTask<RowChange> Moved(RowChange change, CancellationToken cancellation)
    {
        if (change.Operation == ChangeOperation.Create)
        {
            var completed = _oldRow is null ? change : change with { After = ImageCompletion.After(change, _oldRow) };
            _oldRow = null;
            return completed;
        }

        _oldRow = null;
        var partition = change.Entity.Partition(_links.Length);
        if (!change.OtherRow.HasUnchanged || !StoresRows(change.Table) || IsDurable(partition, change.Version))
            return change;

        // The entity may wait for a slow sink. Changes of other entities must not wait with it, so they are sent now.
        FlushNow();
        var stored = await _wait.For($"a row of {change.Table.FullName} that moved to another key", _links[partition].ReadRow(change.Entity, cancellation));
        if (stored.Table is not null && stored.Version < change.Version && !IsIncluded(change, stored.Chunk))
            _oldRow = new EntityState(stored.Version, stored.Table, stored.Row, false);
        return change;
    }

    // A chunk that told the row may have told it as it was after the change.
    private static bool IsIncluded(RowChange change, StoredChunk? chunk) => chunk is not null
        && chunk.Snapshot.Includes(change.Version.CommitLsn, TransactionIds.Widen(change.Transaction.Xid, chunk.Snapshot.Snapshot.Xmax));
}
