using System.Buffers;
using CdcOrleans.Sinks.Formats.Values;

namespace CdcOrleans.Sinks.Formats;

/// <summary>
/// Writes single values from PostgreSQL's text form to the form of Debezium's JSON with the same options.
/// Text that does not have the expected form (with another DateStyle, for example) is written as a JSON string, so every value gives valid
/// JSON.
/// </summary>
internal static class ValueWriter
{
    private static readonly SearchValues<byte> Plain = SearchValues.Create("0123456789abcdef-"u8);

    /// <summary>Writes a value.</summary>
    public static void Write(JsonBuffer buffer, ColumnForm column, ReadOnlySpan<byte> text)
    {
        if (!TryWrite(buffer, column, text))
            buffer.String(text);
    }

    private static bool TryWrite(JsonBuffer buffer, ColumnForm column, ReadOnlySpan<byte> text)
    {
        if (StructuredValue.IsOf(column))
            return TryWriteParts(buffer, column, text);
        switch (column.Form)
        {
            case ValueForm.PlainText when !text.ContainsAnyExcept(Plain):
                buffer.Quoted(text);
                return true;
            case ValueForm.Integer when NumberValue.IsInteger(text):
                buffer.Raw(text);
                return true;
            case ValueForm.Boolean when text is [(byte)'t' or (byte)'f']:
                buffer.Raw(text[0] == (byte)'t' ? "true"u8 : "false"u8);
                return true;
            case ValueForm.Bit when text is [(byte)'0' or (byte)'1']:
                buffer.Raw(text[0] == (byte)'1' ? "true"u8 : "false"u8);
                return true;
            case ValueForm.TimestampUtc when PostgresTime.TryParse(text, withOffset: true, out var time):
                buffer.Raw((byte)'"');
                time.WriteIso(buffer, column.Fraction);
                buffer.Raw((byte)'"');
                return true;
            case ValueForm.Float:
                return NumberValue.TryWriteFloat(buffer, text, isSingle: column.TypeOid == 700);
            case ValueForm.Numeric:
                return NumberValue.TryWriteNumeric(buffer, column, text);
            case ValueForm.Money:
                return NumberValue.TryWriteMoney(buffer, column, text);
            case ValueForm.Date:
                return TimeValue.TryWriteDate(buffer, column, text);
            case ValueForm.Time:
                return TimeValue.TryWriteTime(buffer, column, text);
            case ValueForm.Timestamp:
                return TimeValue.TryWriteTimestamp(buffer, column, text);
            case ValueForm.TimeUtc:
                return TimeValue.TryWriteTimeUtc(buffer, text);
            case ValueForm.Interval:
                return IntervalValue.TryWrite(buffer, column, text);
            case ValueForm.Bytes:
                return BinaryValue.TryWriteBytes(buffer, column, text);
            case ValueForm.Bits:
                return BinaryValue.TryWriteBits(buffer, text);
            case ValueForm.Geometry:
                return GeometryValue.TryWrite(buffer, column.Geometry, text);
            case ValueForm.Geometric or ValueForm.Geographic:
                return SpatialValue.TryWrite(buffer, column.Form == ValueForm.Geometric, text);
            case ValueForm.Vector:
                return VectorValue.TryWriteDense(buffer, text);
            case ValueForm.SparseVector:
                return VectorValue.TryWriteSparse(buffer, text);
            case ValueForm.Hstore:
                return HstoreValue.TryWrite(buffer, column, text);
            case ValueForm.Array:
                return ArrayValue.TryWrite(buffer, column, text);
            default:
                return false;
        }
    }

    private static bool TryWriteParts(JsonBuffer buffer, ColumnForm column, ReadOnlySpan<byte> text) => column.Form switch
    {
        ValueForm.Date => StructuredValue.TryWriteDate(buffer, text),
        ValueForm.Time => StructuredValue.TryWriteTime(buffer, column, text),
        ValueForm.Interval => IntervalValue.TryWrite(buffer, column, text),
        ValueForm.TimeUtc => StructuredValue.TryWriteTimeWithOffset(buffer, column, text),
        _ => StructuredValue.TryWriteTimestamp(buffer, column, text),
    };
}
