using System.Buffers;

namespace CdcOrleans.Sinks.Formats;

/// <summary>
/// Writes single values from PostgreSQL's text to what Debezium's JSON carries with <c>decimal.handling.mode=string</c>.
/// Text that a type's form does not expect (another DateStyle, say) is written as a JSON string: every value gives valid JSON.
/// </summary>
internal static class ValueWriter
{
    // What the PostgreSQL driver under Debezium turns the infinities into.
    private const long DateInfinity = 2146033979;
    private const long DateMinusInfinity = -2147472691;
    private const long MillisInfinity = 9223372036825200000;
    private const long MillisMinusInfinity = -9223372036832400000;

    private static readonly SearchValues<byte> Digits = SearchValues.Create("0123456789"u8);
    private static readonly SearchValues<byte> Decimal = SearchValues.Create("0123456789.+-eE"u8);
    private static readonly SearchValues<byte> FloatMarks = SearchValues.Create(".e"u8);
    private static readonly SearchValues<byte> Plain = SearchValues.Create("0123456789abcdef-"u8);

    /// <summary>What stands for an out-of-line value that neither the log nor the held row has.</summary>
    public static ReadOnlySpan<byte> Unavailable => "__debezium_unavailable_value"u8;

    /// <summary>Writes a value.</summary>
    public static void Write(JsonBuffer buffer, ColumnForm column, ReadOnlySpan<byte> text)
    {
        switch (column.Form)
        {
            case ValueForm.PlainText when !text.ContainsAnyExcept(Plain):
                buffer.Quoted(text);
                break;
            case ValueForm.Integer when IsInteger(text):
                buffer.Raw(text);
                break;
            case ValueForm.Float when IsNumber(text):
                Float(buffer, text);
                break;
            case ValueForm.Numeric:
                Numeric(buffer, text);
                break;
            case ValueForm.Money when text.ContainsAny(Digits):
                Money(buffer, text);
                break;
            case ValueForm.Boolean when text is [(byte)'t' or (byte)'f']:
                buffer.Raw(text[0] == (byte)'t' ? "true"u8 : "false"u8);
                break;
            case ValueForm.Bytes:
                Bytes(buffer, text);
                break;
            case ValueForm.Date or ValueForm.TimeMillis or ValueForm.TimeMicros or ValueForm.TimestampMillis or ValueForm.TimestampMicros:
                if (TryEpoch(column.Form, text, out var number))
                    buffer.Number(number);
                else
                    buffer.String(text);
                break;
            case ValueForm.TimestampUtc when PostgresTime.TryParse(text, withOffset: true, out var time):
                buffer.Raw((byte)'"');
                time.WriteIso(buffer, column.Fraction);
                buffer.Raw((byte)'"');
                break;
            default:
                buffer.String(text);
                break;
        }
    }

    /// <summary>Writes the placeholder of an out-of-line value that is not known.</summary>
    public static void WriteUnavailable(JsonBuffer buffer, ColumnForm column)
    {
        if (column.Form == ValueForm.Bytes)
            buffer.Base64(Unavailable);
        else
            buffer.Quoted(Unavailable);
    }

    /// <summary>Writes the zero of a column's type: what stands in a key-only image for columns that are NOT NULL.</summary>
    public static void WriteZero(JsonBuffer buffer, ColumnForm column) => buffer.Raw(column.Form switch
    {
        ValueForm.Boolean => "false"u8,
        ValueForm.Float => "0.0"u8,
        ValueForm.Numeric or ValueForm.Money => "\"0\""u8,
        ValueForm.TimestampUtc => "\"1970-01-01T00:00:00Z\""u8,
        ValueForm.Text or ValueForm.PlainText or ValueForm.Bytes => "\"\""u8,
        _ => "0"u8,
    });

    private static bool IsInteger(ReadOnlySpan<byte> text)
    {
        var digits = !text.IsEmpty && text[0] == (byte)'-' ? text[1..] : text;
        return !digits.IsEmpty && !digits.ContainsAnyExcept(Digits) && (digits.Length == 1 || digits[0] != (byte)'0');
    }

    // As PostgreSQL prints floats, a subset of JSON's numbers: -?digits[.digits][e±digits].
    private static bool IsNumber(ReadOnlySpan<byte> text)
    {
        var whole = !text.IsEmpty && text[0] == (byte)'-' ? text[1..] : text;
        if (whole.ContainsAnyExcept(Decimal) || !TakeDigits(ref whole))
            return false;
        if (!whole.IsEmpty && whole[0] == (byte)'.')
        {
            whole = whole[1..];
            if (!TakeDigits(ref whole))
                return false;
        }

        if (whole.IsEmpty)
            return true;
        if (whole[0] is not ((byte)'e' or (byte)'E'))
            return false;
        whole = whole[1..];
        if (!whole.IsEmpty && whole[0] is (byte)'+' or (byte)'-')
            whole = whole[1..];
        return TakeDigits(ref whole) && whole.IsEmpty;
    }

    private static bool TakeDigits(ref ReadOnlySpan<byte> text)
    {
        var end = text.IndexOfAnyExcept(Digits);
        var taken = end < 0 ? text.Length : end;
        text = text[taken..];
        return taken > 0;
    }

    // A float stays a float for readers that tell 1 from 1.0.
    private static void Float(JsonBuffer buffer, ReadOnlySpan<byte> text)
    {
        buffer.Raw(text);
        if (!text.ContainsAny(FloatMarks))
            buffer.Raw(".0"u8);
    }

    private static void Numeric(JsonBuffer buffer, ReadOnlySpan<byte> text)
    {
        if (!text.ContainsAnyExcept(Decimal))
            buffer.Quoted(text);
        else if (text.SequenceEqual("NaN"u8))
            buffer.Raw("\"NAN\""u8);
        else if (text.SequenceEqual("Infinity"u8))
            buffer.Raw("\"POSITIVE_INFINITY\""u8);
        else if (text.SequenceEqual("-Infinity"u8))
            buffer.Raw("\"NEGATIVE_INFINITY\""u8);
        else
            buffer.String(text);
    }

    // Printed by lc_monetary: "-$1,234.50", "1.234,50 €", "($5.00)". A last separator before exactly two digits is the decimal point.
    private static void Money(JsonBuffer buffer, ReadOnlySpan<byte> text)
    {
        var last = text.LastIndexOfAny(Digits);
        var point = last >= 2 && text[last - 2] is (byte)'.' or (byte)',' ? last - 2 : text.Length;
        buffer.Raw((byte)'"');
        if (text.IndexOfAny((byte)'-', (byte)'(') >= 0)
            buffer.Raw((byte)'-');
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] is >= (byte)'0' and <= (byte)'9')
                buffer.Raw(text[i]);
            else if (i == point)
                buffer.Raw((byte)'.');
        }

        if (point == text.Length)
            buffer.Raw(".00"u8);
        buffer.Raw((byte)'"');
    }

    private static void Bytes(JsonBuffer buffer, ReadOnlySpan<byte> text)
    {
        var scratch = ArrayPool<byte>.Shared.Rent(text.Length + 1);
        try
        {
            if (text.StartsWith("\\x"u8) && text.Length % 2 == 0
                && Convert.FromHexString(text[2..], scratch, out _, out var written) == OperationStatus.Done)
                buffer.Base64(scratch.AsSpan(0, written));
            else if (TryUnescape(text, scratch, out written))
                buffer.Base64(scratch.AsSpan(0, written));
            else
                buffer.String(text);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(scratch);
        }
    }

    // bytea_output=escape: printable bytes as they are, \\ for a backslash, \ooo for the rest.
    private static bool TryUnescape(ReadOnlySpan<byte> text, Span<byte> bytes, out int written)
    {
        written = 0;
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] != (byte)'\\')
            {
                bytes[written++] = text[i];
            }
            else if (i + 1 < text.Length && text[i + 1] == (byte)'\\')
            {
                bytes[written++] = (byte)'\\';
                i++;
            }
            else if (i + 3 < text.Length && text[i + 1] is >= (byte)'0' and <= (byte)'3'
                && text[i + 2] is >= (byte)'0' and <= (byte)'7' && text[i + 3] is >= (byte)'0' and <= (byte)'7')
            {
                bytes[written++] = (byte)(((text[i + 1] - '0') << 6) | ((text[i + 2] - '0') << 3) | (text[i + 3] - '0'));
                i += 3;
            }
            else
            {
                return false;
            }
        }

        return true;
    }

    private static bool TryEpoch(ValueForm form, ReadOnlySpan<byte> text, out long number)
    {
        number = 0;
        switch (form)
        {
            case ValueForm.Date:
                return PostgresTime.TryParseDate(text, out number) || TryInfinity(text, DateInfinity, DateMinusInfinity, out number);
            case ValueForm.TimeMillis or ValueForm.TimeMicros:
                if (!PostgresTime.TryParseTime(text, out number))
                    return false;
                number /= form == ValueForm.TimeMillis ? 1000 : 1;
                return true;
            case ValueForm.TimestampMillis:
                if (!PostgresTime.TryParse(text, withOffset: false, out var coarse))
                    return TryInfinity(text, MillisInfinity, MillisMinusInfinity, out number);
                number = coarse.EpochMillis;
                return true;
            default:
                if (!PostgresTime.TryParse(text, withOffset: false, out var fine))
                    return TryInfinity(text, long.MaxValue, long.MinValue, out number);
                number = fine.EpochMicros;
                return true;
        }
    }

    private static bool TryInfinity(ReadOnlySpan<byte> text, long positive, long negative, out long number)
    {
        var isPositive = text.SequenceEqual("infinity"u8);
        number = isPositive ? positive : negative;
        return isPositive || text.SequenceEqual("-infinity"u8);
    }
}
