using System.Buffers;
using System.Globalization;
using System.Numerics;
using System.Text;
using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Sinks.Formats.Values;

/// <summary>Integers, floats, decimals and amounts.</summary>
internal static class NumberValue
{
    // Of a float, with its letter and sign.
    private const int LongestExponent = 6;

    private static readonly SearchValues<byte> Digits = SearchValues.Create("0123456789"u8);
    private static readonly SearchValues<byte> Decimal = SearchValues.Create("0123456789.+-eE"u8);

    /// <summary>Whether it is a whole number as PostgreSQL prints it.</summary>
    public static bool IsInteger(ReadOnlySpan<byte> text)
    {
        var digits = !text.IsEmpty && text[0] == (byte)'-' ? text[1..] : text;
        return !digits.IsEmpty && !digits.ContainsAnyExcept(Digits) && (digits.Length == 1 || digits[0] != (byte)'0');
    }

    /// <summary>
    /// Writes a float with its digits as printed, in the notation of Debezium, because keys are compared byte by byte. Returns false when the
    /// text is not a number.
    /// </summary>
    /// <param name="buffer">Gets the number.</param>
    /// <param name="text">The number as PostgreSQL prints it.</param>
    /// <param name="isSingle">Whether it is of four bytes, not of eight.</param>
    public static bool TryWriteFloat(JsonBuffer buffer, ReadOnlySpan<byte> text, bool isSingle)
    {
        var mark = text.LastIndexOfAny((byte)'e', (byte)'E');
        if (!IsNumber(text) || (mark >= 0 && text.Length - mark > LongestExponent))
            return false;
        WriteFloat(buffer, text, isSingle);
        return true;
    }

    // PostgreSQL prints as few digits as tell a float from its neighbours. Java writes at least two, and takes those that are closest to the
    // value: this is another number for the smallest floats only, such as 1.4E-45 for 1e-45. A reader of doubles sees the difference.
    private static ReadOnlySpan<byte> WithTwoDigits(ReadOnlySpan<byte> text, bool isSingle, Span<byte> room)
    {
        var value = Parse(text, isSingle);
        if (!value.TryFormat(room, out var written, "E1", CultureInfo.InvariantCulture))
            return text;
        var longer = room[..written];
        return Parse(longer, isSingle) == value ? longer : text;
    }

    private static double Parse(ReadOnlySpan<byte> text, bool isSingle) => isSingle
        ? float.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture)
        : double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture);

    // Plain from a thousandth to ten million, else with one digit before the point and an exponent; always with a point.
    private static void WriteFloat(JsonBuffer buffer, scoped ReadOnlySpan<byte> text, bool isSingle)
    {
        if (text[0] == (byte)'-')
        {
            buffer.Raw((byte)'-');
            text = text[1..];
        }

        Span<byte> twoDigits = stackalloc byte[16];
        if (text.Length > 1 && text[1] is (byte)'e' or (byte)'E')
            text = WithTwoDigits(text, isSingle, twoDigits);
        var mark = text.IndexOfAny((byte)'e', (byte)'E');
        var mantissa = mark < 0 ? text : text[..mark];
        var point = mantissa.IndexOf((byte)'.');
        var wholeDigits = point < 0 ? mantissa.Length : point;
        if (mark < 0 && point is > 0 and <= 7 && mantissa[0] != (byte)'0')
        {
            buffer.Raw(mantissa);
            return;
        }

        Span<byte> room = stackalloc byte[512];
        if (mantissa.Length > room.Length)
            room = new byte[mantissa.Length];
        mantissa[..wholeDigits].CopyTo(room);
        var digits = room[..wholeDigits];
        if (point >= 0)
        {
            mantissa[(point + 1)..].CopyTo(room[wholeDigits..]);
            digits = room[..(mantissa.Length - 1)];
        }

        // The value is 0.digits times ten to this power.
        var power = wholeDigits + (mark < 0 ? 0 : int.Parse(text[(mark + 1)..], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture));
        var first = digits.IndexOfAnyExcept((byte)'0');
        if (first < 0)
        {
            buffer.Raw("0.0"u8);
            return;
        }

        power -= first;
        digits = digits[first..].TrimEnd((byte)'0');
        if (power is <= -3 or > 7)
        {
            buffer.Raw(digits[..1]);
            buffer.Raw((byte)'.');
            buffer.Raw(digits.Length > 1 ? digits[1..] : "0"u8);
            buffer.Raw((byte)'E');
            buffer.Number(power - 1L);
            return;
        }

        if (power <= 0)
            buffer.Raw("0.00"u8[..(2 - power)]);
        for (var place = 0; place < int.Max(digits.Length, power + 1); place++)
        {
            if (place == power && power > 0)
                buffer.Raw((byte)'.');
            buffer.Raw(place < digits.Length ? digits[place] : (byte)'0');
        }
    }

    /// <summary>Writes a double: NaN and infinities as strings.</summary>
    public static void WriteDouble(JsonBuffer buffer, double value)
    {
        if (!double.IsFinite(value))
        {
            buffer.Quoted(double.IsNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
            return;
        }

        Span<byte> text = stackalloc byte[32];
        value.TryFormat(text, out var written, "R", CultureInfo.InvariantCulture);
        WriteFloat(buffer, text[..written], isSingle: false);
    }

    /// <summary>Writes a decimal number by the options. Returns false when the text is not such a value.</summary>
    public static bool TryWriteNumeric(JsonBuffer buffer, ColumnForm column, ReadOnlySpan<byte> text)
    {
        var isNumber = IsNumber(text);
        switch (column.Options.Decimals)
        {
            case DecimalForm.FloatingPoint:
                if (double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number))
                    WriteDouble(buffer, number);
                else
                    return false;
                return true;
            case DecimalForm.Precise when isNumber && TryUnscaled(text, out var unscaled, out var scale):
                // The modifier has precision and scale. Without it, each value has its own scale.
                if (ScaleOf(column.Modifier) is { } fixedScale)
                    buffer.Base64(Rescaled(unscaled, scale, fixedScale).ToByteArray(isBigEndian: true));
                else
                    Variable(buffer, unscaled, scale);
                return true;
        }

        if (isNumber)
            buffer.Quoted(text);
        else if (text.SequenceEqual("NaN"u8))
            buffer.Raw("\"NAN\""u8);
        else if (text.SequenceEqual("Infinity"u8))
            buffer.Raw("\"POSITIVE_INFINITY\""u8);
        else if (text.SequenceEqual("-Infinity"u8))
            buffer.Raw("\"NEGATIVE_INFINITY\""u8);
        else
            return false;
        return true;
    }

    /// <summary>
    /// Writes an amount that was printed by <c>lc_monetary</c> ("-$1,234.50", "1.234,50 €", "($5.00)") by the options. A last separator
    /// before exactly two digits is the decimal point. Returns false when the text has no digits.
    /// </summary>
    public static bool TryWriteMoney(JsonBuffer buffer, ColumnForm column, ReadOnlySpan<byte> text)
    {
        if (!text.ContainsAny(Digits))
            return false;
        var last = text.LastIndexOfAny(Digits);
        var point = last >= 2 && text[last - 2] is (byte)'.' or (byte)',' ? last - 2 : text.Length;
        var cents = BigInteger.Zero;
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] is >= (byte)'0' and <= (byte)'9')
                cents = (cents * 10) + (text[i] - '0');
        }

        if (point == text.Length)
            cents *= 100;
        if (text.IndexOfAny((byte)'-', (byte)'(') >= 0)
            cents = -cents;
        Amount(buffer, column.Options, cents);
        return true;
    }

    /// <summary>Writes the zero of a decimal number or an amount by the options.</summary>
    public static void WriteZero(JsonBuffer buffer, ColumnForm column)
    {
        var digits = column.Form == ValueForm.Money ? column.Options.MoneyDigits : ScaleOf(column.Modifier) ?? 0;
        switch (column.Options.Decimals)
        {
            case DecimalForm.FloatingPoint:
                buffer.Raw("0.0"u8);
                break;
            case DecimalForm.Precise when column.Form == ValueForm.Numeric && column.Modifier < 4:
                buffer.Raw("{\"scale\":0,\"value\":\"AA==\"}"u8);
                break;
            case DecimalForm.Precise:
                buffer.Raw("\"AA==\""u8);
                break;
            default:
                buffer.Quoted(digits <= 0 ? "0" : "0." + new string('0', digits));
                break;
        }
    }

    /// <summary>The scale of a numeric column, from its type's modifier: eleven bits with a sign; null when it has none.</summary>
    public static int? ScaleOf(int modifier) => modifier < 4 ? null : (((modifier - 4) & 0x7FF) ^ 0x400) - 0x400;

    /// <summary>A number as PostgreSQL prints it in a column of this scale: rounded half away from zero; the text itself when it is not a number.</summary>
    public static byte[] ToScale(string text, int scale)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        if (!IsNumber(bytes) || bytes.AsSpan().ContainsAny((byte)'e', (byte)'E') || !TryUnscaled(bytes, out var unscaled, out var own))
            return bytes;
        unscaled = Rescaled(unscaled, own, scale);
        if (scale < 0)
            (unscaled, scale) = (unscaled * BigInteger.Pow(10, -scale), 0);
        var digits = BigInteger.Abs(unscaled).ToString(CultureInfo.InvariantCulture).PadLeft(scale + 1, '0');
        return Encoding.ASCII.GetBytes((unscaled.Sign < 0 ? "-" : "") + (scale == 0 ? digits : $"{digits[..^scale]}.{digits[^scale..]}"));
    }

    private static void Amount(JsonBuffer buffer, ValueOptions options, BigInteger cents)
    {
        var digits = options.MoneyDigits;
        var unscaled = digits >= 2 ? cents * BigInteger.Pow(10, digits - 2) : Rounded(cents, BigInteger.Pow(10, 2 - digits));
        switch (options.Decimals)
        {
            case DecimalForm.Precise:
                buffer.Base64(unscaled.ToByteArray(isBigEndian: true));
                return;
            case DecimalForm.FloatingPoint:
                WriteDouble(buffer, (double)((decimal)cents / 100));
                return;
        }

        var text = BigInteger.Abs(unscaled).ToString(CultureInfo.InvariantCulture).PadLeft(digits + 1, '0');
        buffer.Raw((byte)'"');
        if (unscaled.Sign < 0)
            buffer.Raw((byte)'-');
        buffer.Raw(Encoding.ASCII.GetBytes(digits == 0 ? text : $"{text[..^digits]}.{text[^digits..]}"));
        buffer.Raw((byte)'"');
    }

    private static BigInteger Rescaled(BigInteger unscaled, int from, int to) =>
        from <= to ? unscaled * BigInteger.Pow(10, to - from) : Rounded(unscaled, BigInteger.Pow(10, from - to));

    // Half up, away from zero.
    private static BigInteger Rounded(BigInteger value, BigInteger by) =>
        (BigInteger.Abs(value) + (by / 2)) / by * value.Sign;

    private static void Variable(JsonBuffer buffer, BigInteger unscaled, int scale)
    {
        buffer.Raw("{\"scale\":"u8);
        buffer.Number((long)scale);
        buffer.Raw(",\"value\":"u8);
        buffer.Base64(unscaled.ToByteArray(isBigEndian: true));
        buffer.Raw((byte)'}');
    }

    // As PostgreSQL prints numeric: digits with a point, no exponent.
    private static bool TryUnscaled(ReadOnlySpan<byte> text, out BigInteger unscaled, out int scale)
    {
        var point = text.IndexOf((byte)'.');
        scale = point < 0 ? 0 : text.Length - point - 1;
        var digits = Encoding.ASCII.GetString(text);
        return BigInteger.TryParse(
            point < 0 ? digits : digits.Remove(point, 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out unscaled);
    }

    // As PostgreSQL prints numbers, a subset of JSON's: -?digits[.digits][e±digits], without zeros at the beginning.
    private static bool IsNumber(ReadOnlySpan<byte> text)
    {
        var whole = !text.IsEmpty && text[0] == (byte)'-' ? text[1..] : text;
        if (whole is [(byte)'0', >= (byte)'0' and <= (byte)'9', ..] || whole.ContainsAnyExcept(Decimal) || !TakeDigits(ref whole))
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
}
