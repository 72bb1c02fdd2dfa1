using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>The result of decoding a message.</summary>
internal enum Decoded
{
    /// <summary>No item.</summary>
    Nothing,

    /// <summary>An item.</summary>
    Item,

    /// <summary>
    /// A relation message: the relation is new or may have changed. It must be announced (<see cref="PgOutputDecoder.Announce"/>) before
    /// the next message.
    /// </summary>
    Relation,

    /// <summary>
    /// From here on, another schema is valid for the relation of the change (<see cref="PgOutputDecoder.Expired"/>). It must be announced,
    /// and the message decoded again.
    /// </summary>
    Expired,

    /// <summary>A transaction begins that was committed after <see cref="PgOutputDecoder.DoubtedUntil"/>.</summary>
    Settled,

    /// <summary>
    /// Tables (<see cref="PgOutputDecoder.Joined"/>) were added to the publication here. Their stored rows may be outdated.
    /// </summary>
    Joined,
}

/// <summary>
/// Decodes pgoutput messages (protocol 1, text) into items. It does no I/O. It keeps the state that the protocol spreads over several
/// messages: the transaction and the relations. One message may give several items.
/// </summary>
internal sealed partial class PgOutputDecoder(SourceConfiguration source, Acknowledgement acknowledgement, ICaptureObserver observer)
{
    private readonly Dictionary<uint, CapturedRelation> _relations = [];
    private readonly Dictionary<uint, (string Schema, string Name)> _typeNames = [];
    private BeginMessage _begin;
    private Lsn _beginPosition;
    private bool _inTransaction;
    private string? _origin;
    private SourceTransaction? _transaction;
    private Lsn _previousEnd;
    private Lsn _originLsn;

    // Ordinal of the last change of the transaction. It counts all changes in the log, captured or not, with or without a key. So a change
    // that is read again, even with another configuration, has the same version.
    private long _ordinal;

    // Whether the begin event of the transaction was emitted.
    private bool _beginEmitted;

    // Further items of the current message.
    private readonly Queue<WalItem> _queued = new();

    /// <summary>Whether values that are too long were left out of the message that is decoded next.</summary>
    public bool HasOmitted { get; set; }

    /// <summary>Takes a further item of the last message. All of them must be taken before the next message is decoded.</summary>
    public bool TryTakeQueued(out WalItem item) => _queued.TryDequeue(out item);

    /// <summary>Decodes one message.</summary>
    /// <param name="message">The message, valid during the call only.</param>
    /// <param name="position">Position that the server sent with the message.</param>
    /// <param name="clock">Time of the server when it sent the message, UTC.</param>
    /// <param name="item">The item, if there is one; the first one if there are several.</param>
    /// <exception cref="InvalidDataException">The message does not follow the protocol.</exception>
    public Decoded Decode(ReadOnlySpan<byte> message, Lsn position, DateTime clock, out WalItem item)
    {
        item = default;
        var reader = new WireReader(message);
        switch (reader.Byte())
        {
            case (byte)'B':
                Begin(BeginMessage.Read(ref reader), position);
                return DoubtedUntil is { } until && _begin.CommitLsn > until ? Decoded.Settled : Decoded.Nothing;
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
                // The server repeats the message when anything about the relation may have changed, also something that the message does
                // not contain, such as the key.
                return Decoded.Relation;
            case (byte)'M':
                return Message(LogicalMessage.Read(ref reader), clock, out item);
            case (byte)'O':
                _originLsn = new Lsn(reader.UInt64());
                _origin = reader.Text();
                return Decoded.Nothing;
            case (byte)'T':
                return Truncate(ref reader, position, out item);
            case (byte)'Y':
                _typeNames[reader.UInt32()] = (reader.Text(), reader.Text());
                return Decoded.Nothing;
            default:
                throw new InvalidDataException($"The log contains a message of the unknown kind 0x{message[0]:X2}.");
        }
    }

    /// <summary>Position after which rows of some relations are not doubted any more; null when none are.</summary>
    public Lsn? DoubtedUntil { get; set; }

    /// <summary>Sets the relation after <see cref="Decoded.Relation"/> or <see cref="Decoded.Expired"/>.</summary>
    public void Announce(uint oid, CapturedRelation relation)
    {
        _relations[oid] = relation;
        _movedKeys.Forget(relation.Name);
    }

    /// <summary>
    /// Names of types that are not built in, as the log had them last. They are read from the catalog, unless it does not have them yet.
    /// </summary>
    public IReadOnlyDictionary<uint, (string Schema, string Name)> TypeNames => _typeNames;

    /// <summary>Version of the last change of the current transaction, or of its begin.</summary>
    public ChangeVersion At => new(_begin.CommitLsn, _ordinal);

    /// <summary>The place in the log that decoding has reached.</summary>
    public LogPlace Here => new(At, _begin.Xid);

    /// <summary>The relation for which another schema is valid now; set after <see cref="Decoded.Expired"/>.</summary>
    public CapturedRelation? Expired { get; private set; }

    /// <summary>The tables that were added to the publication, as <c>schema.table</c>; set after <see cref="Decoded.Joined"/>.</summary>
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
        _beginEmitted = false;
        _movedKeys.Clear();
        _tally?.Clear();
    }

    private WalItem Commit(CommitMessage commit)
    {
        var transaction = Transaction();
        if (commit.CommitLsn != transaction.CommitLsn)
            throw new InvalidDataException($"Transaction {_begin.Xid} ends at {commit.CommitLsn}, but its begin names {transaction.CommitLsn}.");
        _previousEnd = commit.EndLsn;
        _transaction = null;
        _inTransaction = false;
        acknowledgement.End(commit.EndLsn);
        var end = new WalItem(WalItemKind.Commit, null, transaction, commit.EndLsn);
        if (_tally is not { } tally || !_beginEmitted)
            return end;
        _queued.Enqueue(end);
        return Item(EndEvent(transaction, tally, commit));
    }

    // Created with the first change, because the message of the origin follows the begin.
    private SourceTransaction Transaction()
    {
        if (_transaction is { } transaction)
            return transaction;
        if (!_inTransaction)
            throw new InvalidDataException("The log contains a change outside a transaction.");
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
