using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Sinks.Formats;

/// <summary>
/// The format <c>debezium</c>: the envelope, key and tombstone of Debezium's JSON converter without schemas, with decimals as strings.
/// Fields, their order, types and values are those of Debezium 3.7. When the stored row has values that the log lacks, events have these
/// values: the complete <c>before</c>, and out-of-line values.
/// </summary>
/// <remarks>
/// <list type="bullet">
/// <item><c>ts_*</c> of the envelope is the time of formatting, <c>source.ts_*</c> that of the commit.</item>
/// <item>An update whose old row is not known has <c>before: null</c>, or the values that the log has. Every create and read has null.</item>
/// <item>When the stored row has an older schema than the change, <c>before</c> has the columns of the change's schema. Columns that the older schema lacks have their default, as in the table.</item>
/// <item>A truncation has a null key and no rows. A logical message has a <c>message</c> block instead of rows.</item>
/// <item>A delete of a row without a key has no tombstone, because a tombstone with a null key has no meaning.</item>
/// </list>
/// </remarks>
/// <param name="time">Gives the envelope's time.</param>
public sealed class DebeziumFormat(TimeProvider time) : IEventFormat
{
    /// <inheritdoc />
    public string Name => "debezium";

    /// <inheritdoc />
    public void Format(in CompletedChange change, ICollection<SinkEvent> events)
    {
        ArgumentNullException.ThrowIfNull(events);
        var row = change.Change;
        var buffer = EventParts.Start(change, out var encoding, out var key);
        switch (row.Operation)
        {
            case ChangeOperation.Transaction:
                EventParts.WriteTransaction(buffer, change);
                break;
            case ChangeOperation.Heartbeat:
                buffer.Raw("{\"ts_ms\":"u8);
                buffer.Number(row.Transaction.CommitMicros / 1000);
                buffer.Raw((byte)'}');
                break;
            case ChangeOperation.Message:
                buffer.Raw((byte)'{');
                WriteMetadata(buffer, encoding, change);
                buffer.Raw(",\"message\":"u8);
                encoding.WriteRow(buffer, change.After);
                buffer.Raw((byte)'}');
                break;
            default:
                buffer.Raw("{\"before\":"u8);
                EventParts.WriteBefore(buffer, encoding, change);
                buffer.Raw(",\"after\":"u8);
                EventParts.WriteAfter(buffer, encoding, change);
                buffer.Raw((byte)',');
                WriteMetadata(buffer, encoding, change);
                buffer.Raw((byte)'}');
                break;
        }

        var value = buffer.ToArray();
        var headers = row.OtherRow.IsPresent ? OtherKey(buffer, encoding, row) : null;
        events.Add(EventParts.Event(change, key, value, headers));
        if (row.Operation == ChangeOperation.Delete && key is not null && change.Tombstones)
            events.Add(EventParts.Event(change, key, value: null, headers));
    }

    // When an update changed the key, the delete has the new key in a header, and the create has the old one.
    private static KeyValuePair<string, byte[]>[]? OtherKey(JsonBuffer buffer, RowEncoding encoding, RowChange row)
    {
        buffer.Clear();
        return encoding.TryWriteKey(buffer, row.OtherRow)
            ? [new(row.Operation == ChangeOperation.Delete ? "__debezium.newkey" : "__debezium.oldkey", buffer.ToArray())]
            : null;
    }

    private void WriteMetadata(JsonBuffer buffer, RowEncoding encoding, in CompletedChange change)
    {
        var row = change.Change;
        buffer.Raw("\"source\":"u8);
        encoding.Source(change.Source, change.Database).Write(buffer, row);
        if (row.TotalOrder == 0)
            buffer.Raw(",\"transaction\":null,\"op\":\""u8);
        else
            WriteTransaction(buffer, row);
        buffer.Raw(EventParts.LetterOf(row.Operation));
        buffer.Raw("\",\"ts_ms\":"u8);
        var ticks = (time.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks;
        buffer.Number(ticks / TimeSpan.TicksPerMillisecond);
        // The event of a logical message has only this one of the ts fields.
        if (row.Operation == ChangeOperation.Message)
            return;
        buffer.Raw(",\"ts_us\":"u8);
        buffer.Number(ticks / TimeSpan.TicksPerMicrosecond);
        buffer.Raw(",\"ts_ns\":"u8);
        buffer.Number(ticks);
        buffer.Raw("00"u8);
    }

    private static void WriteTransaction(JsonBuffer buffer, RowChange row)
    {
        buffer.Raw(",\"transaction\":{\"id\":\""u8);
        buffer.Number((long)row.Transaction.Xid);
        buffer.Raw((byte)':');
        buffer.Number(row.Lsn.Value);
        buffer.Raw("\",\"total_order\":"u8);
        buffer.Number((long)row.TotalOrder);
        buffer.Raw(",\"data_collection_order\":"u8);
        buffer.Number((long)row.TableOrder);
        buffer.Raw("},\"op\":\""u8);
    }
}
