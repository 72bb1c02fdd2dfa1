using System.Globalization;
using System.Text;
using CdcOrleans.Grains.Interfaces.Changes;
using CdcOrleans.Grains.Interfaces.Sinks;

namespace CdcOrleans.Sinks.Formats;

/// <summary>
/// The format <c>flat</c>: the value is the row as it is now, a tombstone when it was deleted; what happened stands in headers:
/// <c>cdc.op</c> (<c>c</c>, <c>u</c>, <c>d</c>, <c>r</c>), <c>cdc.table</c> and <c>cdc.ts_ms</c> (time of the commit).
/// </summary>
/// <remarks>A delete in a table without a key has the row it deleted as its value: a tombstone without a key would say nothing.</remarks>
public sealed class FlatFormat : IEventFormat
{
    private const string Operation = "cdc.op";
    private const string Table = "cdc.table";
    private const string Time = "cdc.ts_ms";

    private static readonly byte[] Create = "c"u8.ToArray(), Update = "u"u8.ToArray(), Delete = "d"u8.ToArray(), Read = "r"u8.ToArray();

    /// <inheritdoc />
    public string Name => "flat";

    /// <inheritdoc />
    public void Format(in CompletedChange change, ICollection<SinkEvent> events)
    {
        ArgumentNullException.ThrowIfNull(events);
        var row = change.Change;
        var encoding = RowEncoding.Of(row.Table, change.Values);
        var buffer = JsonBuffer.Take();
        var key = EventParts.Key(buffer, encoding, change);
        byte[]? value = null;
        if (row.Operation != ChangeOperation.Delete)
        {
            EventParts.WriteAfter(buffer, encoding, change);
            value = buffer.ToArray();
        }
        else if (key is null)
        {
            EventParts.WriteBefore(buffer, encoding, change);
            value = buffer.ToArray();
        }

        events.Add(EventParts.Event(change, key, value,
        [
            new(Operation, Letter(row.Operation)),
            new(Table, Encoding.UTF8.GetBytes(row.Table.FullName)),
            new(Time, Encoding.ASCII.GetBytes((row.Transaction.CommitMicros / 1000).ToString(CultureInfo.InvariantCulture))),
        ]));
    }

    private static byte[] Letter(ChangeOperation operation) => operation switch
    {
        ChangeOperation.Create => Create,
        ChangeOperation.Update => Update,
        ChangeOperation.Delete => Delete,
        _ => Read,
    };
}
