using System.Security.Cryptography;
using System.Text;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Sinks.Formats.Values;

namespace CdcOrleans.Sinks.Formats;

/// <summary>Writes the values that Debezium uses in place of values that the log does not have.</summary>
internal static class StandIn
{
    private const uint Int4 = 23, Int8 = 20, Date = 1082, Uuid = 2950;

    /// <summary>Writes the placeholder for an out-of-line value that is not known, in the form of the type.</summary>
    public static void WriteUnavailable(JsonBuffer buffer, ColumnForm column)
    {
        var placeholder = column.Options.Unavailable;
        switch (column.Form)
        {
            case ValueForm.Bytes when column.Options.Binary != BinaryForm.Hex:
                BinaryValue.Write(buffer, column.Options.Binary, Encoding.UTF8.GetBytes(placeholder));
                break;
            case ValueForm.Hstore:
                HstoreValue.WriteOne(buffer, column, placeholder);
                break;
            case ValueForm.Array when column.Element!.TypeOid is Int4 or Int8 || (column.Element.TypeOid == Date && column.Options.Times is not (TimeForm.Connect or TimeForm.IsoString or TimeForm.Structured)):
                WriteNumbers(buffer, Encoding.UTF8.GetBytes(placeholder));
                break;
            case ValueForm.Array when column.Element!.TypeOid == Uuid:
                buffer.Raw("[\""u8);
                buffer.Raw(Encoding.ASCII.GetBytes(UuidOf(placeholder).ToString()));
                buffer.Raw("\"]"u8);
                break;
            case ValueForm.Array:
                buffer.Raw((byte)'[');
                WriteUnavailable(buffer, column.Element!);
                buffer.Raw((byte)']');
                break;
            default:
                buffer.String(placeholder);
                break;
        }
    }

    /// <summary>
    /// Writes the value of a column that was added after the row was stored: its constant default; otherwise null, or zero when it is NOT
    /// NULL.
    /// </summary>
    public static void WriteAdded(JsonBuffer buffer, ColumnForm column)
    {
        if (column.Default is { } value)
            ValueWriter.Write(buffer, column, value);
        else
            WriteFiller(buffer, column);
    }

    /// <summary>
    /// Writes the value for a column that is not in a key-only image: its constant default; otherwise null, or the zero of its type when it
    /// is NOT NULL. Defaults of arrays, amounts and structured times are not used.
    /// </summary>
    public static void WriteFiller(JsonBuffer buffer, ColumnForm column)
    {
        if (column.Default is { } value && column.Form is not (ValueForm.Array or ValueForm.Money) && !StructuredValue.IsOf(column))
            ValueWriter.Write(buffer, column, value);
        else if (column.Nullable)
            buffer.Raw("null"u8);
        else
            WriteZero(buffer, column);
    }

    /// <summary>Writes the zero of a column's type.</summary>
    public static void WriteZero(JsonBuffer buffer, ColumnForm column)
    {
        switch (column.Form)
        {
            case ValueForm.Numeric or ValueForm.Money:
                NumberValue.WriteZero(buffer, column);
                break;
            case var _ when StructuredValue.IsOf(column):
                StructuredValue.WriteZero(buffer, column);
                break;
            case ValueForm.Geometry:
                GeometryValue.WriteZero(buffer);
                break;
            default:
                buffer.Raw(ZeroOf(column));
                break;
        }
    }

    private static ReadOnlySpan<byte> ZeroOf(ColumnForm column) => column.Form switch
    {
        ValueForm.Boolean or ValueForm.Bit => "false"u8,
        ValueForm.Float => "0.0"u8,
        ValueForm.Date when column.Unit == TimeUnit.Text => "\"1970-01-01Z\""u8,
        ValueForm.Time when column.Unit == TimeUnit.Text => "\"00:00:00Z\""u8,
        ValueForm.TimeUtc => "\"00:00:00Z\""u8,
        ValueForm.Timestamp when column.Unit == TimeUnit.Text => "\"1970-01-01T00:00:00Z\""u8,
        ValueForm.TimestampUtc => "\"1970-01-01T00:00:00Z\""u8,
        ValueForm.Interval when column.Options.Intervals == IntervalForm.Text => "\"P0Y0M0DT0H0M0S\""u8,
        ValueForm.Hstore => column.Options.Hstore == HstoreForm.Map ? "{}"u8 : "\"{}\""u8,
        ValueForm.Array or ValueForm.Vector => "[]"u8,
        ValueForm.Integer or ValueForm.Date or ValueForm.Time or ValueForm.Timestamp or ValueForm.Interval => "0"u8,
        _ => "\"\""u8,
    };

    private static void WriteNumbers(JsonBuffer buffer, byte[] bytes)
    {
        buffer.Raw((byte)'[');
        for (var i = 0; i < bytes.Length; i++)
        {
            if (i > 0)
                buffer.Raw((byte)',');
            buffer.Number((long)bytes[i]);
        }

        buffer.Raw((byte)']');
    }

    // A name-based UUID of its text without a namespace: version 3 of RFC 9562, which uses MD5.
    private static Guid UuidOf(string name)
    {
#pragma warning disable CA5351 // MD5 is not used for security here.
        var hash = MD5.HashData(Encoding.UTF8.GetBytes(name));
#pragma warning restore CA5351
        hash[6] = (byte)((hash[6] & 0x0F) | 0x30);
        hash[8] = (byte)((hash[8] & 0x3F) | 0x80);
        return new Guid(hash, bigEndian: true);
    }
}
