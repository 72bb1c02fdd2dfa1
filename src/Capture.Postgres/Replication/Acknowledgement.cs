using CdcOrleans.Grains.Interfaces.Changes;

namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>
/// The position that the server may be told. It follows what the reader's owner confirms, and, while nothing that was read is
/// unconfirmed, what the server says it has passed: so a database that changes nothing captured pins no log, and a server that
/// shuts down and waits for its readers to catch up is not kept waiting.
/// </summary>
internal sealed class Acknowledgement
{
    private ulong _position;
    private ulong _readEnd;
    private bool _inTransaction;

    /// <summary>What the server may be told.</summary>
    public Lsn Position => new(Volatile.Read(ref _position));

    /// <summary>Moves the position forward; never back. From any thread.</summary>
    public void Confirm(Lsn position)
    {
        var current = Volatile.Read(ref _position);
        while (position.Value > current)
        {
            var seen = Interlocked.CompareExchange(ref _position, position.Value, current);
            if (seen == current)
                return;
            current = seen;
        }
    }

    /// <summary>The reader goes into a transaction.</summary>
    public void Begin() => Volatile.Write(ref _inTransaction, true);

    /// <summary>The reader has read everything up to here, and hands out an item that must be confirmed.</summary>
    public void End(Lsn end)
    {
        Volatile.Write(ref _readEnd, end.Value);
        Volatile.Write(ref _inTransaction, false);
    }

    /// <summary>
    /// Confirms what the connection received, if nothing that was read is unconfirmed. <paramref name="received"/> must have been
    /// taken before this call.
    /// </summary>
    /// <remarks>
    /// The connection counts a message as received before the reader sees it. That can be one message at most; outside a
    /// transaction it is a begin, whose position (the transaction's first change) lies before its commit record. So whatever the
    /// timing, a received position is never beyond the commit of a transaction that is not confirmed.
    /// </remarks>
    public void ConfirmIdle(Lsn received)
    {
        if (!Volatile.Read(ref _inTransaction) && Volatile.Read(ref _readEnd) <= Volatile.Read(ref _position))
            Confirm(received);
    }
}
