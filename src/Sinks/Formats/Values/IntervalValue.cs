using System.Buffers.Text;
using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Sinks.Formats.Values;

/// <summary>Intervals, from PostgreSQL's text with <c>IntervalStyle=postgres</c>, such as <c>1 year -2 mons +3 days 04:05:06.7</c>.</summary>
internal static class IntervalValue
{
    private const double DaysPerMonth = 365.25 / 12;

    /// <summary>Writes an interval. Returns false, and writes nothing, when the text is not such a value.</summary>
    public static bool TryWrite(JsonBuffer buffer, ColumnForm column, ReadOnlySpan<byte> text)
    {
        if (text.SequenceEqual("infinity"u8) || text.SequenceEqual("-infinity"u8) || !TryParse(text, out var span))
            return false;
        if (column.Unit == TimeUnit.Parts)
            span.WriteParts(buffer, column);
        else if (column.Options.Intervals == IntervalForm.Numeric)
            buffer.Number(span.Micros);
        else
            span.WriteIso(buffer);
        return true;
    }

    private static bool TryParse(ReadOnlySpan<byte> text, out Span span)
    {
        span = default;
        while (!text.IsEmpty)
        {
            var blank = text.IndexOf((byte)' ');
            var word = blank < 0 ? text : text[..blank];
            if (word.Contains((byte)':'))
                return blank < 0 && TryTime(word, ref span);
            if (blank < 0 || !TryNumber(word, out var number))
                return false;
            text = text[(blank + 1)..];
            blank = text.IndexOf((byte)' ');
            var unit = blank < 0 ? text : text[..blank];
            text = blank < 0 ? default : text[(blank + 1)..];
            if (unit.StartsWith("year"u8))
                span.Years = number;
            else if (unit.StartsWith("mon"u8))
                span.Months = number;
            else if (unit.StartsWith("day"u8))
                span.Days = number;
            else
                return false;
        }

        return true;
    }

    private static bool TryTime(ReadOnlySpan<byte> text, ref Span span)
    {
        var negative = text[0] == (byte)'-';
        if (negative || text[0] == (byte)'+')
            text = text[1..];
        if (!Utf8Parser.TryParse(text, out long hours, out var used) || text.Length < used + 6 || text[used] != (byte)':' || text[used + 3] != (byte)':'
            || !Utf8Parser.TryParse(text.Slice(used + 1, 2), out int minutes, out _) || !Utf8Parser.TryParse(text.Slice(used + 4, 2), out int seconds, out _))
            return false;
        var micros = 0;
        var fraction = text[(used + 6)..];
        if (!fraction.IsEmpty)
        {
            if (fraction.Length is < 2 or > 7 || fraction[0] != (byte)'.')
                return false;
            for (var i = 1; i <= 6; i++)
            {
                var digit = i < fraction.Length ? fraction[i] - '0' : 0;
                if (digit is < 0 or > 9)
                    return false;
                micros = (micros * 10) + digit;
            }
        }

        var sign = negative ? -1 : 1;
        span.Hours = sign * hours;
        span.Minutes = sign * minutes;
        span.SecondMicros = sign * ((seconds * 1_000_000L) + micros);
        return true;
    }

    private static bool TryNumber(ReadOnlySpan<byte> text, out long number)
    {
        if (!text.IsEmpty && text[0] == (byte)'+')
            text = text[1..];
        return Utf8Parser.TryParse(text, out number, out var used) && used == text.Length;
    }

    private struct Span
    {
        public long Years;
        public long Months;
        public long Days;
        public long Hours;
        public long Minutes;
        public long SecondMicros;

        // Computed in doubles, as in Debezium, so that both give the same number. A result beyond 64 bits becomes the greatest or least
        // number.
        public readonly long Micros
        {
            get
            {
                var days = ((((Years * 12) + Months) * DaysPerMonth) + Days) * 24;
                var micros = ((((days + Hours) * 60) + Minutes) * 60 * 1e6) + SecondMicros;
                return micros >= long.MaxValue ? long.MaxValue : micros <= long.MinValue ? long.MinValue : (long)micros;
            }
        }

        public readonly void WriteParts(JsonBuffer buffer, ColumnForm column)
        {
            buffer.Raw("{\"years\":"u8);
            buffer.Number(Years);
            buffer.Raw(",\"months\":"u8);
            buffer.Number(Months);
            buffer.Raw(",\"days\":"u8);
            buffer.Number(Days);
            buffer.Raw(",\"hours\":"u8);
            buffer.Number(Hours);
            buffer.Raw(",\"minutes\":"u8);
            buffer.Number(Minutes);
            buffer.Raw(",\"seconds\":"u8);
            buffer.Number(SecondMicros / 1_000_000);
            buffer.Raw(",\"nanos\":"u8);
            buffer.Number(SecondMicros % 1_000_000 * 1000);
            StructuredValue.WriteEnd(buffer, column);
        }

        public readonly void WriteIso(JsonBuffer buffer)
        {
            buffer.Raw("\"P"u8);
            Part(buffer, Years, (byte)'Y');
            Part(buffer, Months, (byte)'M');
            Part(buffer, Days, (byte)'D');
            buffer.Raw((byte)'T');
            Part(buffer, Hours, (byte)'H');
            Part(buffer, Minutes, (byte)'M');
            if (SecondMicros < 0)
                buffer.Raw((byte)'-');
            var micros = Math.Abs(SecondMicros);
            buffer.Number(micros / 1_000_000);
            var fraction = micros % 1_000_000;
            if (fraction > 0)
            {
                var digits = 6;
                for (; fraction % 10 == 0; fraction /= 10)
                    digits--;
                buffer.Raw((byte)'.');
                buffer.Padded(fraction, digits);
            }

            buffer.Raw("S\""u8);
        }

        private static void Part(JsonBuffer buffer, long number, byte unit)
        {
            buffer.Number(number);
            buffer.Raw(unit);
        }
    }
}
