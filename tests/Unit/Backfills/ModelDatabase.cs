using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Changes;

namespace CdcOrleans.Unit.Backfills;

/// <summary>A row: a value that every update changes, and a large one that the log leaves out where an update does not change it.</summary>
internal sealed record ModelRow(int Value, int Large);

/// <summary>A version of a key's row in its true history; without a row after a delete.</summary>
internal sealed record ModelEntry(int Number, int Key, ModelRow? Row, ulong Xid)
{
    /// <summary>What the log has of the change.</summary>
    public bool LargeIsInLog { get; init; }

    /// <summary>For the create that follows an update of the key: the former key.</summary>
    public int? FormerKey { get; init; }

    public bool IsTruncation { get; init; }

    /// <summary>Whether the key had no row before.</summary>
    public bool IsInsert { get; init; }

    /// <summary>Whether the publication had the table when the change was made.</summary>
    public bool IsPublished { get; init; }
}

/// <summary>A transaction. It is open, then its commit record is in the log, then it has ended for snapshots.</summary>
internal sealed class ModelTransaction(ulong xid)
{
    public ulong Xid { get; } = xid;

    public List<ModelEntry> Changes { get; } = [];

    public Lsn CommitLsn { get; set; }

    public bool IsLogged => !CommitLsn.IsNone;
}

/// <summary>
/// PostgreSQL as far as merging depends on it: transaction ids, locks of rows that are held until a transaction has ended, commit records
/// that are in the log before that, and snapshots.
/// </summary>
internal sealed class ModelDatabase(ulong firstXid, int keys)
{
    private readonly List<ModelTransaction> _open = [];
    private readonly List<ModelEntry>[] _history = [.. Enumerable.Range(0, keys).Select(_ => new List<ModelEntry>())];
    private readonly ModelTransaction?[] _locks = new ModelTransaction?[keys];
    private ulong _next = firstXid;
    private ulong _lastEnded = firstXid - 1;
    private readonly List<ModelEntry> _entries = [];

    public IReadOnlyList<ModelTransaction> Open => _open;

    /// <summary>The transactions in the order of their commit records.</summary>
    public List<ModelTransaction> Log { get; } = [];

    /// <summary>The end of the log.</summary>
    public Lsn End => new(((ulong)Log.Count * 10) + 5);

    public bool IsPublished { get; set; }

    public ModelTransaction Begin()
    {
        // The server gives out no id whose lower 32 bits are 0, 1 or 2.
        while ((uint)_next < 3)
            _next++;
        var transaction = new ModelTransaction(_next++);
        _open.Add(transaction);
        return transaction;
    }

    public ModelRow? Current(int key) => _history[key].LastOrDefault()?.Row;

    public ModelEntry Entry(int number) => _entries[number];

    public void Insert(ModelTransaction by, int key)
    {
        if (Lock(by, key) && Current(key) is null)
            Write(by, key, new ModelRow(_entries.Count, _entries.Count), largeIsInLog: true);
    }

    public void Update(ModelTransaction by, int key, bool large)
    {
        if (Lock(by, key) && Current(key) is { } row)
            Write(by, key, new ModelRow(_entries.Count, large ? _entries.Count : row.Large), large);
    }

    public void Delete(ModelTransaction by, int key)
    {
        if (Lock(by, key) && Current(key) is not null)
            Write(by, key, null, largeIsInLog: false);
    }

    public void Move(ModelTransaction by, int from, int to, bool large)
    {
        if (from == to || !Lock(by, from) || !Lock(by, to) || Current(from) is not { } row || Current(to) is not null)
            return;
        Write(by, from, null, largeIsInLog: false);
        Write(by, to, new ModelRow(_entries.Count, large ? _entries.Count : row.Large), large, from);
    }

    public void Truncate(ModelTransaction by)
    {
        if (by.IsLogged || _locks.Any(l => l is not null && l != by))
            return;
        for (var key = 0; key < keys; key++)
        {
            _locks[key] = by;
            Write(by, key, null, largeIsInLog: false, isTruncation: true);
        }
    }

    public void Commit(ModelTransaction transaction)
    {
        if (transaction.IsLogged)
            return;
        transaction.CommitLsn = new Lsn((ulong)(Log.Count + 1) * 10);
        Log.Add(transaction);
    }

    public void Abort(ModelTransaction transaction)
    {
        if (transaction.IsLogged)
            return;
        foreach (var history in _history)
            history.RemoveAll(e => e.Xid == transaction.Xid);
        Close(transaction);
    }

    public void EndOf(ModelTransaction transaction)
    {
        if (transaction.IsLogged)
            Close(transaction);
    }

    public ulong AssignXid()
    {
        var own = Begin();
        Close(own);
        return own.Xid;
    }

    public TransactionSnapshot Snapshot()
    {
        var xmax = _lastEnded + 1;
        return new TransactionSnapshot(
            _open.Select(t => t.Xid).Append(xmax).Min(), xmax, [.. _open.Select(t => t.Xid).Where(x => x < xmax)]);
    }

    /// <summary>The newest version of a key that a snapshot shows; null when the key never had one.</summary>
    public ModelEntry? Seen(int key, TransactionSnapshot snapshot) => _history[key].LastOrDefault(e => snapshot.IsVisible(e.Xid));

    /// <summary>What a standby shows that has replayed some transactions of the log: their changes, and a bound below which all have ended.</summary>
    public (TransactionSnapshot Least, Func<int, ModelEntry?> Seen) Replayed(int transactions)
    {
        var ended = Log.Take(transactions).Select(t => t.Xid).ToHashSet();
        var xmax = transactions == Log.Count ? _lastEnded + 1 : ended.Append(0UL).Max() + 1;
        var xmin = _open.Concat(Log.Skip(transactions)).Select(t => t.Xid).Where(x => !ended.Contains(x)).Append(xmax).Min();
        return (new TransactionSnapshot(xmin, xmin), key => _history[key].LastOrDefault(e => ended.Contains(e.Xid)));
    }

    // A lock is held until the transaction has ended, which is after its commit record.
    private bool Lock(ModelTransaction by, int key)
    {
        if (by.IsLogged || (_locks[key] is { } holder && holder != by))
            return false;
        _locks[key] = by;
        return true;
    }

    private void Write(ModelTransaction by, int key, ModelRow? row, bool largeIsInLog, int? from = null, bool isTruncation = false)
    {
        var entry = new ModelEntry(_entries.Count, key, row, by.Xid)
        {
            LargeIsInLog = largeIsInLog, FormerKey = from, IsTruncation = isTruncation, IsInsert = row is not null && Current(key) is null, IsPublished = IsPublished,
        };
        _history[key].Add(entry);
        _entries.Add(entry);
        by.Changes.Add(entry);
    }

    private void Close(ModelTransaction transaction)
    {
        _open.Remove(transaction);
        _lastEnded = Math.Max(_lastEnded, transaction.Xid);
        for (var key = 0; key < keys; key++)
        {
            if (_locks[key] == transaction)
                _locks[key] = null;
        }
    }
}
