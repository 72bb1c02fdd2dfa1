using CdcOrleans.Model.Changes;

namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>
/// The position that may be reported to the server. It follows the confirmations of the caller. While everything that was read is
/// confirmed, it also follows the server's own position. So a database without captured changes does not keep its log, and a server that
/// shuts down does not wait for this reader.
/// </summary>
/// <param name="confirmed">The slot's confirmed position at the start. No lower position is ever reported.</param>
internal sealed class Acknowledgement(Lsn confirmed = default)
{
    private ulong _position = confirmed.Value;
    private ulong _readEnd;
    private bool _inTransaction;
    private bool _isReading;
    private ulong _receivedBefore;

    /// <summary>The position that may be reported.</summary>
    public Lsn Position => new(Volatile.Read(ref _position));

    /// <summary>Moves the position forward, never back. May be called from any thread.</summary>
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

    /// <summary>The reader begins a transaction.</summary>
    public void Begin() => Volatile.Write(ref _inTransaction, true);

    /// <summary>The reader has read everything up to here and returns an item that must be confirmed.</summary>
    public void End(Lsn end)
    {
        Volatile.Write(ref _readEnd, end.Value);
        Volatile.Write(ref _inTransaction, false);
    }

    /// <summary>A message has begun to arrive.</summary>
    public void Reading() => Volatile.Write(ref _isReading, true);

    /// <summary>The message is decoded, and its effect on the position was recorded.</summary>
    public void Read() => Volatile.Write(ref _isReading, false);

    /// <summary>
    /// If everything that was read is confirmed: confirms the position that the connection had received at the previous call of this
    /// method. Called regularly by one thread. <paramref name="received"/> must be read from the connection before the call.
    /// </summary>
    /// <remarks>
    /// The connection counts a message as received a moment before the reader sees it, and the position of a non-transactional message is
    /// the one that confirms it. So the position of this call could be too high. That of the previous call is safe: the reader has seen it
    /// in the meantime.
    /// </remarks>
    public void ConfirmIdle(Lsn received)
    {
        var before = _receivedBefore;
        _receivedBefore = received.Value;
        if (!Volatile.Read(ref _isReading) && !Volatile.Read(ref _inTransaction) && Volatile.Read(ref _readEnd) <= Volatile.Read(ref _position))
            Confirm(new Lsn(before));
    }
}
