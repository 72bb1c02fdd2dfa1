using System.Globalization;
using System.Text;
using System.Text.Json;
using CdcOrleans.Grains.Interfaces.Capture;
using CdcOrleans.Grains.Interfaces.Changes;
using CdcOrleans.Grains.Interfaces.Configuration;
using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Grains.Interfaces.Schemas;

namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>What is not a row: truncations, logical messages, heartbeats, begins and ends of transactions.</summary>
internal sealed partial class PgOutputDecoder
{
    /// <summary>Prefix of the messages that are our own heartbeats.</summary>
    public const string HeartbeatPrefix = "cdc.heartbeat";

    private readonly TransactionTally? _tally = source.Transactions ? new TransactionTally() : null;

    private static ReadOnlySpan<byte> HeartbeatPrefixBytes => "cdc.heartbeat"u8;

    private bool Truncate(ref WireReader reader, Lsn position, out WalItem item)
    {
        var tables = reader.Int32();
        reader.Byte(); // CASCADE, RESTART IDENTITY.
        for (var i = 0; i < tables; i++)
        {
            var relation = Relation(reader.UInt32());
            if (relation.Table is null)
                observer.ChangeNotSelected();
            else
                Hold(Change(ChangeOperation.Truncate, relation, "", position, null, false, null));
        }

        return _held.TryDequeue(out item);
    }

    private bool Message(LogicalMessage message, DateTime clock, out WalItem item)
    {
        // As in Debezium, what follows counts it as the end of what came before, captured or not.
        if (!message.Transactional)
            _previousEnd = message.Lsn;
        if (!message.Transactional && message.Prefix.SequenceEqual(HeartbeatPrefixBytes))
        {
            item = Heartbeat(message);
            return true;
        }

        item = default;
        var prefix = Encoding.UTF8.GetString(message.Prefix);
        if (message.Prefix.StartsWith(HeartbeatPrefixBytes) || !IsCaptured(prefix))
        {
            observer.MessageIgnored();
            return false;
        }

        HasOmitted |= LogicalMessage.TextLength(message.Content.Length) > source.LargeValues.Limit;
        if (message.Transactional)
        {
            item = First(Told(prefix, message, Transaction(), ++_ordinal, _tally?.Count(SourceStreams.Messages.Name) ?? default));
            return true;
        }

        item = Item(Told(prefix, message, Alone(message.Lsn, clock), 1, default));
        acknowledgement.End(message.Lsn);
        _held.Enqueue(new WalItem(WalItemKind.Position, null, null, message.Lsn));
        return true;
    }

    private RowChange Told(string prefix, LogicalMessage message, SourceTransaction transaction, long ordinal, (int Total, int OfTable) place) => Told(
        ChangeOperation.Message, SourceStreams.Messages, prefix, message.Lsn, transaction, ordinal, place,
        HasOmitted ? TupleData.Of(prefix, TupleData.LeftOut) : TupleData.OfMessage(message.Prefix, message.Content));

    // Everything that committed before this record has been read. Told this position, the server repeats the heartbeat at most.
    private WalItem Heartbeat(LogicalMessage message)
    {
        acknowledgement.End(message.Lsn);
        var reached = new WalItem(WalItemKind.Position, null, null, message.Lsn);
        if (!source.HeartbeatEvents
            || !DateTimeOffset.TryParse(Encoding.UTF8.GetString(message.Content), CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind, out var written))
            return reached;
        _held.Enqueue(reached);
        return Item(Told(
            ChangeOperation.Heartbeat, SourceStreams.Heartbeats, "", message.Lsn, Alone(message.Lsn, written.UtcDateTime), 1, default,
            source.Name, written.ToUnixTimeMilliseconds().ToString(CultureInfo.InvariantCulture)));
    }

    // Before the transaction's first change, whether that makes an event or not: nothing may stand before it in any partition.
    private RowChange Begun(RowChange first) => Told(
        ChangeOperation.Transaction, SourceStreams.Transactions, "", first.Lsn, first.Transaction, 0, default,
        "BEGIN", IdOf(first.Transaction, _beginPosition.IsNone ? first.Lsn : _beginPosition), null, null, Millis(first.Transaction));

    private RowChange Ended(SourceTransaction transaction, TransactionTally tally, CommitMessage commit) => Told(
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

    // What stands by itself in the log counts as a transaction of its own, at its record's last byte: the position it comes with is
    // the record's end, where the commit record of a transaction may begin.
    private SourceTransaction Alone(Lsn position, DateTime time) => new()
    {
        CommitLsn = new Lsn(position.Value - 1),
        PreviousCommitEnd = _previousEnd,
        Xid = 0,
        CommitMicros = (time - DateTime.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond,
    };

    private RowChange Told(
        ChangeOperation operation, TableSchema stream, string key, Lsn position, SourceTransaction transaction, long ordinal,
        (int Total, int OfTable) place, params ReadOnlySpan<string?> values) =>
        Told(operation, stream, key, position, transaction, ordinal, place, TupleData.Of(values));

    private RowChange Told(
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
