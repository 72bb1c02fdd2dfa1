using CdcOrleans.Grains.Collections;
using CdcOrleans.Model.Changes;

namespace CdcOrleans.Grains.Sources;

/// <summary>
/// Computes the confirmed position of a source. It is the end of the last transaction, in commit order, for which this holds: all its
/// changes and all changes before it are durable, as the progress of their partitions shows. Heartbeat positions are kept in the same
/// order. Not safe for concurrent use.
/// </summary>
internal sealed class AckTracker
{
    private readonly Ring<Share>[] _shares;
    private readonly ChangeVersion[] _progress;
    private readonly Ring<Transaction> _transactions = new();
    private Transaction? _open;

    /// <param name="partitions">Number of partitions.</param>
    /// <param name="confirmed">The position at which the stream starts.</param>
    public AckTracker(int partitions, Lsn confirmed)
    {
        _shares = new Ring<Share>[partitions];
        for (var i = 0; i < partitions; i++)
            _shares[i] = new Ring<Share>();
        _progress = new ChangeVersion[partitions];
        Confirmed = confirmed;
    }

    /// <summary>The confirmed position: everything at or before it is durable.</summary>
    public Lsn Confirmed { get; private set; }

    /// <summary>
    /// Commit time of the oldest transaction that is not yet durable, in microseconds since 1970; null when there is none.
    /// </summary>
    public long? OldestCommitMicros
    {
        get
        {
            for (var i = 0; i < _transactions.Count; i++)
            {
                if (_transactions[i].CommitMicros is { } micros)
                    return micros;
            }

            return null;
        }
    }

    /// <summary>The durable progress that a partition last reported.</summary>
    public ChangeVersion ProgressOf(int partition) => _progress[partition];

    /// <summary>Records that a change of the current transaction is sent to a partition.</summary>
    public void Dispatched(int partition, ChangeVersion version, long commitMicros)
    {
        var transaction = _open ??= Begin(commitMicros);
        if (version <= _progress[partition])
            return;
        var shares = _shares[partition];
        if (shares.Count > 0 && ReferenceEquals(shares.Last.Transaction, transaction))
        {
            shares.Last.Version = version;
            return;
        }

        transaction.Unfinished++;
        shares.Add(new Share { Transaction = transaction, Version = version });
    }

    /// <summary>Records the end of the current transaction.</summary>
    public void Committed(Lsn end)
    {
        var transaction = _open ?? Begin(null);
        transaction.End = end;
        _open = null;
        Advance();
    }

    /// <summary>Records a position outside transactions: a heartbeat or a non-transactional message.</summary>
    public void Reached(Lsn position)
    {
        if (_open is not null)
        {
            // The change before this position was a non-transactional message, which is a transaction of its own here.
            Committed(position);
            return;
        }

        if (_transactions.Count == 0)
        {
            if (position > Confirmed)
                Confirmed = position;
            return;
        }

        Begin(null).End = position;
    }

    /// <summary>Records the durable progress of a partition.</summary>
    /// <returns>Whether <see cref="Confirmed"/> moved.</returns>
    public bool Progressed(int partition, ChangeVersion progress)
    {
        if (progress <= _progress[partition])
            return false;
        _progress[partition] = progress;
        var shares = _shares[partition];
        while (shares.Count > 0 && shares[0].Version <= progress)
        {
            shares[0].Transaction.Unfinished--;
            shares.RemoveFirst();
        }

        return Advance();
    }

    private Transaction Begin(long? commitMicros)
    {
        var transaction = new Transaction { CommitMicros = commitMicros };
        _transactions.Add(transaction);
        return transaction;
    }

    private bool Advance()
    {
        var before = Confirmed;
        while (_transactions.Count > 0 && _transactions[0] is { Unfinished: 0, End: { IsNone: false } end })
        {
            if (end > Confirmed)
                Confirmed = end;
            _transactions.RemoveFirst();
        }

        return Confirmed != before;
    }

    private sealed class Transaction
    {
        public Lsn End;
        public int Unfinished;
        public long? CommitMicros;
    }

    private struct Share
    {
        public Transaction Transaction;
        public ChangeVersion Version;
    }
}
