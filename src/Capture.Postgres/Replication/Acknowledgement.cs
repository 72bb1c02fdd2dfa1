using CdcOrleans.Model.Changes;

namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>
/// The position that the server may be told. It follows what the reader's owner confirms, and, while nothing that was read is
/// unconfirmed, what the server says it has passed: so a database that changes nothing captured pins no log, and a server that
/// shuts down and waits for its readers to catch up is not kept waiting.
/// </summary>
/// <param name="confirmed">Where the slot stands at the start: nothing lower is ever told.</param>
internal sealed class Acknowledgement(Lsn confirmed = default)
{
    private ulong _position = confirmed.Value;
    private ulong _readEnd;
    private bool _inTransaction;
    private bool _isReading;
    private ulong _receivedBefore;

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

    /// <summary>A message has begun to arrive.</summary>
    public void Reading() => Volatile.Write(ref _isReading, true);

    /// <summary>The message is decoded: what it means for the position was told.</summary>
    public void Read() => Volatile.Write(ref _isReading, false);

    /// <summary>
    /// Confirms what the connection had received at the call before this one, if nothing that was read is unconfirmed. Called now and
    /// then, by one thread; <paramref name="received"/> must have been taken before.
    /// </summary>
    /// <remarks>
    /// The connection counts a message as received a moment before the reader sees it, and a message outside transactions is received
    /// at the very position that confirms it. What was received a call ago, the reader has seen since: it is being read, or it is read.
    /// </remarks>
    public void ConfirmIdle(Lsn received)
    {
        var before = _receivedBefore;
        _receivedBefore = received.Value;
        if (!Volatile.Read(ref _isReading) && !Volatile.Read(ref _inTransaction) && Volatile.Read(ref _readEnd) <= Volatile.Read(ref _position))
            Confirm(new Lsn(before));
    }
}
