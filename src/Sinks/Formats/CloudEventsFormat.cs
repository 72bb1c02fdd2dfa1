using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Sinks.Formats;

/// <summary>
/// The format <c>cloudevents</c>: CloudEvents 1.0 in structured JSON mode. <c>id</c> is the event id, <c>source</c> is
/// <c>/cdc/&lt;source&gt;</c>, <c>subject</c> the table, <c>time</c> that of the commit, <c>data</c> has the row before and after.
/// For a logical message, the begin or end of a transaction, and a heartbeat, <c>data</c> has their own content.
/// Extension attributes: <c>cdcversion</c>, <c>cdcorigin</c>, <c>cdcschema</c>. A delete is followed by a tombstone, as in the format
/// <c>debezium</c>.
/// </summary>
public sealed class CloudEventsFormat : IEventFormat
{
    private static readonly KeyValuePair<string, byte[]>[] ContentType =
        [new("content-type", "application/cloudevents+json; charset=UTF-8"u8.ToArray())];

    /// <inheritdoc />
    public string Name => "cloudevents";

    /// <inheritdoc />
    public void Format(in CompletedChange change, ICollection<SinkEvent> events)
    {
        ArgumentNullException.ThrowIfNull(events);
        var row = change.Change;
        var buffer = EventParts.Start(change, out var encoding, out var key);
        Write(buffer, encoding, change);
        events.Add(EventParts.Event(change, key, buffer.ToArray(), ContentType));
        if (row.Operation == ChangeOperation.Delete && key is not null && change.Tombstones)
            events.Add(EventParts.Event(change, key, value: null));
    }

    private static void Write(JsonBuffer buffer, RowEncoding encoding, in CompletedChange change)
    {
        var row = change.Change;
        buffer.Raw("{\"specversion\":\"1.0\",\"id\":"u8);
        buffer.String($"{change.Source}:{row.Version.CommitLsn}:{row.Version.Ordinal}");
        buffer.Raw(",\"source\":"u8);
        buffer.String($"/cdc/{Uri.EscapeDataString(change.Source)}");
        buffer.Raw(row.Operation switch
        {
            ChangeOperation.Create => ",\"type\":\"cdc.row.created\",\"subject\":"u8,
            ChangeOperation.Update => ",\"type\":\"cdc.row.updated\",\"subject\":"u8,
            ChangeOperation.Delete => ",\"type\":\"cdc.row.deleted\",\"subject\":"u8,
            ChangeOperation.Truncate => ",\"type\":\"cdc.table.truncated\",\"subject\":"u8,
            ChangeOperation.Message => ",\"type\":\"cdc.message\",\"subject\":"u8,
            ChangeOperation.Transaction => ",\"type\":\"cdc.transaction\",\"subject\":"u8,
            ChangeOperation.Heartbeat => ",\"type\":\"cdc.heartbeat\",\"subject\":"u8,
            _ => ",\"type\":\"cdc.row.read\",\"subject\":"u8,
        });
        buffer.String(row.Table.FullName);
        buffer.Raw(",\"time\":\""u8);
        var days = Math.DivRem(row.Transaction.CommitMicros, PostgresTime.MicrosPerDay, out var micros);
        new PostgresTime(days, micros).WriteIso(buffer, fraction: 6);
        buffer.Raw("\",\"datacontenttype\":\"application/json\",\"cdcversion\":"u8);
        buffer.String(row.Version.ToString());
        buffer.Raw(",\"cdcorigin\":"u8);
        buffer.String(EventHeaders.OriginOf(change.Origin));
        buffer.Raw(",\"cdcschema\":"u8);
        buffer.Number((long)row.Table.Version);
        buffer.Raw(",\"data\":"u8);
        WriteData(buffer, encoding, change);
        buffer.Raw((byte)'}');
    }

    private static void WriteData(JsonBuffer buffer, RowEncoding encoding, in CompletedChange change)
    {
        switch (change.Change.Operation)
        {
            case ChangeOperation.Transaction:
                EventParts.WriteTransaction(buffer, change);
                break;
            case ChangeOperation.Message or ChangeOperation.Heartbeat:
                encoding.WriteRow(buffer, change.After);
                break;
            default:
                buffer.Raw("{\"before\":"u8);
                EventParts.WriteBefore(buffer, encoding, change);
                buffer.Raw(",\"after\":"u8);
                EventParts.WriteAfter(buffer, encoding, change);
                buffer.Raw((byte)'}');
                break;
        }
    }
}
