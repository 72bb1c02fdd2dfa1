using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>What a message of the log came to.</summary>
internal enum Decoded
{
    /// <summary>Nothing to hand out.</summary>
    Nothing,

    /// <summary>An item.</summary>
    Item,

    /// <summary>A relation is new or may have changed: it must be announced (<see cref="PgOutputDecoder.Announce"/>) before reading on.</summary>
    Relation,

    /// <summary>The relation of the change (<see cref="PgOutputDecoder.Expired"/>) stands for something else from here on: it must be announced, and the message decoded again.</summary>
    Expired,

    /// <summary>Tables (<see cref="PgOutputDecoder.Joined"/>) joined the publication here: what was held of them may be behind.</summary>
    Joined,
}

/// <summary>
/// Turns pgoutput messages (protocol 1, text) into items. It does no I/O and keeps the state that the protocol spreads over
/// messages: the transaction and the announced relations. One message may come to several items.
/// </summary>
internal sealed partial class PgOutputDecoder(SourceConfiguration source, Acknowledgement acknowledgement, ICaptureObserver observer)
{
    private readonly Dictionary<uint, CapturedRelation> _relations = [];
    private BeginMessage _begin;
    private Lsn _beginPosition;
    private bool _inTransaction;
    private string? _origin;
    private SourceTransaction? _transaction;
    private Lsn _previousEnd;
    private Lsn _originLsn;

    // Of the last change of the transaction. It counts everything that the log has of it, whatever of it is captured or has a key: read
    // again, under another configuration too, a change has the same version.
    private long _ordinal;

    // Whether the transaction's begin was told.
    private bool _hasBegun;

    // Further items of the message at hand.
    private readonly Queue<WalItem> _held = new();

    /// <summary>Whether values were left out of the message that is decoded next, because they are too long.</summary>
    public bool HasOmitted { get; set; }

    /// <summary>A further item of the last message: to be taken, until there is none, before the next message.</summary>
    public bool TryTakeHeld(out WalItem item) => _held.TryDequeue(out item);

    /// <summary>Decodes one message.</summary>
    /// <param name="message">The message, valid during the call only.</param>
    /// <param name="position">Position that the server gave with it.</param>
    /// <param name="clock">The server's time when it sent it, UTC.</param>
    /// <param name="item">The item, where there is one; the first where there are several.</param>
    /// <exception cref="InvalidDataException">The message is not of the protocol asked for.</exception>
    public Decoded Decode(ReadOnlySpan<byte> message, Lsn position, DateTime clock, out WalItem item)
    {
        item = default;
        var reader = new WireReader(message);
        switch (reader.Byte())
        {
            case (byte)'B':
                Begin(BeginMessage.Read(ref reader), position);
                return Decoded.Nothing;
            case (byte)'C':
                item = Commit(CommitMessage.Read(ref reader));
                return Decoded.Item;
            case (byte)'I':
                return Insert(ref reader, position, out item);
            case (byte)'U':
                return Update(ref reader, position, out item);
            case (byte)'D':
                return Delete(ref reader, position, out item);
            case (byte)'R':
                // The same message comes again when anything about the relation may have changed, such as a key that the log does not tell.
                return Decoded.Relation;
            case (byte)'M':
                return Message(LogicalMessage.Read(ref reader), clock, out item);
            case (byte)'O':
                _originLsn = new Lsn(reader.UInt64());
                _origin = reader.Text();
                return Decoded.Nothing;
            case (byte)'T':
                return Truncate(ref reader, position, out item);
            case (byte)'Y': // Names of types come from the catalog.
                return Decoded.Nothing;
            default:
                throw new InvalidDataException($"The log holds a message of the unknown kind 0x{message[0]:X2}.");
        }
    }

    /// <summary>Takes up a relation whose message was decoded as <see cref="Decoded.Relation"/>, or that expired.</summary>
    public void Announce(uint oid, CapturedRelation relation) => _relations[oid] = relation;

    /// <summary>The version of the last change of the transaction under way, or of its begin.</summary>
    public ChangeVersion At => new(_begin.CommitLsn, _ordinal);

    /// <summary>The place that decoding has reached.</summary>
    public LogPlace Here => new(At, _begin.Xid);

    /// <summary>The relation that expired, after <see cref="Decoded.Expired"/>.</summary>
    public CapturedRelation? Expired { get; private set; }

    /// <summary>The tables that joined as <c>schema.table</c>, after <see cref="Decoded.Joined"/>.</summary>
    public IReadOnlyList<string> Joined { get; private set; } = [];

    private bool HasExpired(CapturedRelation relation)
    {
        if (relation.Until is not { } until || At < until)
            return false;
        Expired = relation;
        return true;
    }

    private void Begin(BeginMessage begin, Lsn position)
    {
        if (_inTransaction)
            throw new InvalidDataException("The log begins a transaction inside another one.");
        acknowledgement.Begin();
        _inTransaction = true;
        _begin = begin;
        _beginPosition = position;
        _origin = null;
        _originLsn = Lsn.None;
        _transaction = null;
        _ordinal = 0;
        _hasBegun = false;
        _tally?.Clear();
    }

    private WalItem Commit(CommitMessage commit)
    {
        var transaction = Transaction();
        if (commit.CommitLsn != transaction.CommitLsn)
            throw new InvalidDataException($"The log ends transaction {_begin.Xid} at {commit.CommitLsn} and began it for {transaction.CommitLsn}.");
        _previousEnd = commit.EndLsn;
        _transaction = null;
        _inTransaction = false;
        acknowledgement.End(commit.EndLsn);
        var end = new WalItem(WalItemKind.Commit, null, transaction, commit.EndLsn);
        if (_tally is not { } tally || !_hasBegun)
            return end;
        _held.Enqueue(end);
        return Item(Ended(transaction, tally, commit));
    }

    // Made with the first change, because the origin's message follows the begin.
    private SourceTransaction Transaction()
    {
        if (_transaction is { } transaction)
            return transaction;
        if (!_inTransaction)
            throw new InvalidDataException("The log holds a change outside a transaction.");
        return _transaction = new SourceTransaction
        {
            CommitLsn = _begin.CommitLsn,
            PreviousCommitEnd = _previousEnd,
            Xid = _begin.Xid,
            CommitMicros = _begin.CommitMicros,
            Origin = _origin,
            OriginLsn = _originLsn,
        };
    }

    private CapturedRelation Relation(uint oid) =>
        _relations.TryGetValue(oid, out var relation) ? relation : throw Unannounced(oid);

    private static InvalidDataException Unannounced(uint oid) =>
        new InvalidDataException($"The log changes relation {oid}, which it has not announced.");
}
