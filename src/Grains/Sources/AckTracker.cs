using CdcOrleans.Grains.Collections;
using CdcOrleans.Model.Changes;

namespace CdcOrleans.Grains.Sources;

/// <summary>
/// Knows how far a source may be confirmed: the end of the longest prefix of transactions, in commit order, all of whose changes
/// lie at or before their partition's durable progress. Heartbeat positions take their place in the same order.
/// Not safe for concurrent use.
/// </summary>
internal sealed class AckTracker
{
    private readonly Ring<Share>[] _shares;
    private readonly ChangeVersion[] _progress;
    private readonly Ring<Transaction> _transactions = new();
    private Transaction? _open;

    /// <param name="partitions">Number of partitions.</param>
    /// <param name="confirmed">Where the stream starts.</param>
    public AckTracker(int partitions, Lsn confirmed)
    {
        _shares = new Ring<Share>[partitions];
        for (var i = 0; i < partitions; i++)
            _shares[i] = new Ring<Share>();
        _progress = new ChangeVersion[partitions];
        Confirmed = confirmed;
    }

    /// <summary>Everything at or before it is durable.</summary>
    public Lsn Confirmed { get; private set; }

    /// <summary>Commit time of the oldest transaction that is not yet durable, in microseconds since 1970; null when there is none.</summary>
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

    /// <summary>Durable progress known of a partition.</summary>
    public ChangeVersion ProgressOf(int partition) => _progress[partition];

    /// <summary>A change of the transaction being read goes to a partition.</summary>
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

    /// <summary>The transaction being read ends.</summary>
    public void Committed(Lsn end)
    {
        var transaction = _open ?? Begin(null);
        transaction.End = end;
        _open = null;
        Advance();
    }

    /// <summary>A position outside transactions was reached: a heartbeat.</summary>
    public void Reached(Lsn position)
    {
        if (_open is not null)
        {
            // What stood there was itself a change: a message outside transactions.
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

    /// <summary>A partition's durable progress moved.</summary>
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
