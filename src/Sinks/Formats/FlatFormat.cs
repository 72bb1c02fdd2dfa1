using System.Globalization;
using System.Text;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Sinks.Formats;

/// <summary>
/// The format <c>flat</c>: the value is the current row, or a tombstone when the row was deleted. The headers describe the change:
/// <c>cdc.op</c> (<c>c</c>, <c>u</c>, <c>d</c>, <c>r</c>; <c>t</c> for a truncation, whose value is JSON's <c>null</c>; <c>m</c> for events
/// that are not of a table), <c>cdc.table</c> and <c>cdc.ts_ms</c> (time of the commit).
/// </summary>
/// <remarks>A delete in a table without a key has the deleted row as its value, because a tombstone without a key has no meaning.</remarks>
public sealed class FlatFormat : IEventFormat
{
    private const string Operation = "cdc.op";
    private const string Table = "cdc.table";
    private const string Time = "cdc.ts_ms";

    private static readonly byte[][] Letters = [.. Enumerable.Range(0, 128).Select(letter => new[] { (byte)letter })];

    /// <inheritdoc />
    public string Name => "flat";

    /// <inheritdoc />
    public void Format(in CompletedChange change, ICollection<SinkEvent> events)
    {
        ArgumentNullException.ThrowIfNull(events);
        var row = change.Change;
        var buffer = EventParts.Start(change, out var encoding, out var key);
        byte[]? value = null;
        switch (row.Operation)
        {
            case ChangeOperation.Transaction:
                EventParts.WriteTransaction(buffer, change);
                value = buffer.ToArray();
                break;
            case ChangeOperation.Delete when key is not null:
                break;
            case ChangeOperation.Delete or ChangeOperation.Truncate:
                EventParts.WriteBefore(buffer, encoding, change);
                value = buffer.ToArray();
                break;
            default:
                EventParts.WriteAfter(buffer, encoding, change);
                value = buffer.ToArray();
                break;
        }

        events.Add(EventParts.Event(change, key, value,
        [
            new(Operation, Letters[EventParts.LetterOf(row.Operation)]),
            new(Table, Encoding.UTF8.GetBytes(row.Table.FullName)),
            new(Time, Encoding.ASCII.GetBytes((row.Transaction.CommitMicros / 1000).ToString(CultureInfo.InvariantCulture))),
        ]));
    }
}
