using CdcOrleans.Grains.Collections;
using CdcOrleans.Model.Changes;

namespace CdcOrleans.Grains.Sources;

/// <summary>
/// Computes the confirmed position of a source. It is the end of the last transaction, in commit order, for which this holds: all its
/// changes and all changes before it are durable, as the progress of their partitions shows. Heartbeat positions are kept in the same
/// order. Not safe for concurrent use.
/// <para>
/// Only transactions that are open or have changes that are not durable are kept, so their number is limited by the window. Each of them
/// stands for everything up to its <see cref="Transaction.End"/>: transactions and positions after it that need nothing more are merged
/// into it.
/// </para>
/// </summary>
internal sealed class AckTracker
{
    private readonly Ring<Share>[] _shares;
    private readonly ChangeVersion[] _progress;
    private Transaction? _first;
    private Transaction? _last;
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
    public long? OldestCommitMicros => _first?.CommitMicros;

    /// <summary>Number of transactions that are kept.</summary>
    public int Count { get; private set; }

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
        if (_open is { } transaction)
        {
            transaction.End = end;
            _open = null;
            if (transaction.Unfinished == 0)
                Finish(transaction);
            return;
        }

        Pass(end);
    }

    /// <summary>Records a position outside transactions: a heartbeat or a non-transactional message.</summary>
    public void Reached(Lsn position)
    {
        // If a transaction is open, the change before this position was a non-transactional message. It is a transaction of its own here.
        Committed(position);
    }

    /// <summary>Records the durable progress of a partition.</summary>
    /// <returns>Whether <see cref="Confirmed"/> moved.</returns>
    public bool Progressed(int partition, ChangeVersion progress)
    {
        if (progress <= _progress[partition])
            return false;
        _progress[partition] = progress;
        var before = Confirmed;
        var shares = _shares[partition];
        while (shares.Count > 0 && shares[0].Version <= progress)
        {
            var transaction = shares[0].Transaction;
            shares.RemoveFirst();
            if (--transaction.Unfinished == 0 && !ReferenceEquals(transaction, _open))
                Finish(transaction);
        }

        return Confirmed != before;
    }

    private Transaction Begin(long commitMicros)
    {
        var transaction = new Transaction { CommitMicros = commitMicros, Earlier = _last };
        if (_last is null)
            _first = transaction;
        else
            _last.Later = transaction;
        _last = transaction;
        Count++;
        return transaction;
    }

    // Everything up to a position is durable when everything kept so far is.
    private void Pass(Lsn end)
    {
        if (_last is null)
            Confirm(end);
        else if (end > _last.End)
            _last.End = end;
    }

    // Nothing of the transaction is missing any more. The one before it, or the confirmed position, stands for it from now on.
    private void Finish(Transaction transaction)
    {
        if (transaction.Earlier is not { } earlier)
            Confirm(transaction.End);
        else if (transaction.End > earlier.End)
            earlier.End = transaction.End;

        if (transaction.Earlier is null)
            _first = transaction.Later;
        else
            transaction.Earlier.Later = transaction.Later;
        if (transaction.Later is null)
            _last = transaction.Earlier;
        else
            transaction.Later.Earlier = transaction.Earlier;
        Count--;
    }

    private void Confirm(Lsn position)
    {
        if (position > Confirmed)
            Confirmed = position;
    }

    /// <summary>A transaction that is open or has changes that are not durable.</summary>
    private sealed class Transaction
    {
        /// <summary>Everything up to here is durable when this transaction and all earlier ones are; none while it is open.</summary>
        public Lsn End;

        public int Unfinished;
        public long CommitMicros;
        public Transaction? Earlier;
        public Transaction? Later;
    }

    private struct Share
    {
        public Transaction Transaction;
        public ChangeVersion Version;
    }
}
