using System.Globalization;
using System.Text;
using System.Text.Json;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>Everything that is not a change of a row: truncations, logical messages, heartbeats, begins and ends of transactions.</summary>
internal sealed partial class PgOutputDecoder
{
    /// <summary>Prefix of heartbeats: ours, or those of another source on the same database.</summary>
    public const string HeartbeatPrefix = "cdc.heartbeat";

    /// <summary>Prefix of the messages that record which tables were added to the publication.</summary>
    public const string JoinPrefix = "cdc.joined";

    private readonly byte[] _ownHeartbeat = Encoding.UTF8.GetBytes($"{source.Name} ");

    private readonly TransactionTally? _tally = source.Transactions ? new TransactionTally() : null;

    private static ReadOnlySpan<byte> HeartbeatPrefixBytes => "cdc.heartbeat"u8;

    private static ReadOnlySpan<byte> JoinPrefixBytes => "cdc.joined"u8;

    /// <summary>Formats the content of a heartbeat.</summary>
    public static string HeartbeatOf(string source, DateTimeOffset time) => $"{source} {time:O}";

    private Decoded Truncate(ref WireReader reader, Lsn position, out WalItem item)
    {
        item = default;
        var tables = reader.Int32();
        reader.Byte(); // CASCADE, RESTART IDENTITY.
        var look = reader;
        for (var i = 0; i < tables; i++)
        {
            if (HasExpired(Relation(look.UInt32())))
                return Decoded.Expired;
        }

        for (var i = 0; i < tables; i++)
        {
            var relation = Relation(reader.UInt32());
            _ordinal++;
            if (relation.Table is null)
                observer.ChangeNotSelected();
            else
                Enqueue(Change(ChangeOperation.Truncate, relation, "", position, null, false, null));
        }

        return _queued.TryDequeue(out item) ? Decoded.Item : Decoded.Nothing;
    }

    private Decoded Message(LogicalMessage message, DateTime clock, out WalItem item)
    {
        // As in Debezium, a non-transactional message counts as the end of the previous commit, captured or not.
        if (!message.Transactional)
            _previousEnd = message.Lsn;
        var isHeartbeat = message.Prefix.SequenceEqual(HeartbeatPrefixBytes);
        if (isHeartbeat && !message.Transactional && message.Content.StartsWith(_ownHeartbeat))
        {
            item = Heartbeat(message);
            return Decoded.Item;
        }

        item = default;
        if (message.Transactional)
            _ordinal++;
        if (message.Transactional && message.Prefix.SequenceEqual(JoinPrefixBytes))
            return Join(message) ? Decoded.Joined : Decoded.Nothing;
        var prefix = Encoding.UTF8.GetString(message.Prefix);
        if (isHeartbeat || !IsCaptured(prefix))
        {
            observer.MessageIgnored();
            return Decoded.Nothing;
        }

        HasOmitted |= LogicalMessage.TextLength(message.Content.Length) > source.LargeValues.Limit;
        if (message.Transactional)
        {
            item = First(StreamChange(prefix, message, Transaction(), _ordinal, _tally?.Count(SourceStreams.Messages.Name) ?? default));
            return Decoded.Item;
        }

        item = Item(StreamChange(prefix, message, NonTransactional(message.Lsn, clock), 1, default));
        acknowledgement.End(message.Lsn);
        _queued.Enqueue(new WalItem(WalItemKind.Position, null, null, message.Lsn));
        return Decoded.Item;
    }

    // We write this message in the transaction that adds the tables to the publication. Its first line is the name of the source.
    private bool Join(LogicalMessage message)
    {
        var lines = Encoding.UTF8.GetString(message.Content).Split('\n');
        Joined = lines[0] == source.Name ? lines[1..] : [];
        return Joined.Count > 0;
    }

    private RowChange StreamChange(string prefix, LogicalMessage message, SourceTransaction transaction, long ordinal, (int Total, int OfTable) place) => StreamChange(
        ChangeOperation.Message, SourceStreams.Messages, prefix, message.Lsn, transaction, ordinal, place,
        TupleData.OfMessage(message.Prefix, message.Content, HasOmitted));

    // Everything that was committed before this record has been read. If this position is confirmed, the server sends at most the heartbeat
    // again.
    private WalItem Heartbeat(LogicalMessage message)
    {
        acknowledgement.End(message.Lsn);
        var reached = new WalItem(WalItemKind.Position, null, null, message.Lsn);
        if (!source.HeartbeatEvents
            || !DateTimeOffset.TryParse(Encoding.UTF8.GetString(message.Content[_ownHeartbeat.Length..]), CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind, out var written))
            return reached;
        _queued.Enqueue(reached);
        return Item(StreamChange(
            ChangeOperation.Heartbeat, SourceStreams.Heartbeats, "", message.Lsn, NonTransactional(message.Lsn, written.UtcDateTime), 1, default,
            source.Name, written.ToUnixTimeMilliseconds().ToString(CultureInfo.InvariantCulture)));
    }

    // The begin event is emitted before the first change of the transaction, even when that change makes no event. So it comes first in
    // every partition.
    private RowChange BeginEvent(RowChange first) => StreamChange(
        ChangeOperation.Transaction, SourceStreams.Transactions, "", first.Lsn, first.Transaction, 0, default,
        "BEGIN", IdOf(first.Transaction, _beginPosition.IsNone ? first.Lsn : _beginPosition), null, null, Millis(first.Transaction));

    private RowChange EndEvent(SourceTransaction transaction, TransactionTally tally, CommitMessage commit) => StreamChange(
        ChangeOperation.Transaction, SourceStreams.Transactions, "", commit.EndLsn, transaction, ++_ordinal, default,
        "END", IdOf(transaction, commit.EndLsn), tally.Total.ToString(CultureInfo.InvariantCulture),
        JsonSerializer.Serialize(
            [.. tally.Tables.Select(t => new TableEvents(t.Table, t.Events))], TableEventsJson.Default.TableEventsArray),
        Millis(transaction));

    private static string IdOf(SourceTransaction transaction, Lsn lsn) =>
        string.Create(CultureInfo.InvariantCulture, $"{transaction.Xid}:{lsn.Value}");

    private static string Millis(SourceTransaction transaction) => (transaction.CommitMicros / 1000).ToString(CultureInfo.InvariantCulture);

    private bool IsCaptured(string prefix)
    {
        foreach (var pattern in source.Messages)
        {
            if (NamePattern.Matches(pattern, prefix))
                return true;
        }

        return false;
    }

    // A non-transactional message counts as a transaction of its own. Its position is the last byte of its record. The position in the
    // message is the end of the record, where the commit record of another transaction may begin.
    private SourceTransaction NonTransactional(Lsn position, DateTime time) => new()
    {
        CommitLsn = new Lsn(position.Value - 1),
        PreviousCommitEnd = _previousEnd,
        Xid = 0,
        CommitMicros = (time - DateTime.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond,
    };

    private RowChange StreamChange(
        ChangeOperation operation, TableSchema stream, string key, Lsn position, SourceTransaction transaction, long ordinal,
        (int Total, int OfTable) place, params ReadOnlySpan<string?> values) =>
        StreamChange(operation, stream, key, position, transaction, ordinal, place, TupleData.Of(values));

    private RowChange StreamChange(
        ChangeOperation operation, TableSchema stream, string key, Lsn position, SourceTransaction transaction, long ordinal,
        (int Total, int OfTable) place, byte[] tuple) =>
        new()
        {
            Operation = operation,
            Table = stream,
            Entity = new EntityKey(stream.FullName, EntityKeyText.Join(key)),
            Version = new ChangeVersion(transaction.CommitLsn, ordinal),
            Lsn = position,
            Transaction = transaction,
            After = new RowImage(tuple),
            HasOmitted = operation == ChangeOperation.Message && HasOmitted,
            TotalOrder = place.Total,
            TableOrder = place.OfTable,
        };
}
