namespace CdcOrleans.Bench.EndToEnd.Workloads;

/// <summary>What was written to the log for the consumers to drain.</summary>
/// <param name="Table">Table without its schema.</param>
/// <param name="Changes">Row changes.</param>
/// <param name="Deletes">How many of them are deletes: each yields a tombstone besides its event.</param>
/// <param name="Transactions">Transactions that hold them.</param>
/// <param name="EndLsn">Position in the log right after the last of them.</param>
internal sealed record Goal(string Table, long Changes, long Deletes, long Transactions, string EndLsn)
{
    /// <summary>Records that a topic gets.</summary>
    public long Events => Changes + Deletes;
}
