using System.Buffers.Text;

namespace CdcOrleans.Sinks.Formats;

/// <summary>
/// A point of time as PostgreSQL prints it with <c>DateStyle=ISO</c>: days since 1970-01-01 in the proleptic Gregorian calendar and
/// microseconds within the day. They are kept separately, because the microseconds of PostgreSQL's last years do not fit into 64 bits.
/// </summary>
internal readonly struct PostgresTime(long days, long micros)
{
    public const long MicrosPerDay = 86_400_000_000;

    /// <summary>Days since 1970-01-01.</summary>
    public long Days { get; } = days;

    /// <summary>Microseconds within the day, 0 to 86,400,000,000.</summary>
    public long Micros { get; } = micros;

    /// <summary>Reads a date such as <c>2024-02-29</c>, <c>5874897-12-31</c> or <c>0044-03-15 BC</c>.</summary>
    public static bool TryParseDate(ReadOnlySpan<byte> text, out long days)
    {
        var isBefore = TrimEra(ref text);
        return TryDate(ref text, isBefore, out days) && text.IsEmpty;
    }

    /// <summary>Reads a time of day such as <c>12:34:56.789</c> or <c>24:00:00</c>.</summary>
    public static bool TryParseTime(ReadOnlySpan<byte> text, out long micros) => TryTime(ref text, out micros) && text.IsEmpty;

    /// <summary>Reads a time of day with an offset, such as <c>12:34:56.789+02</c>; the result is in UTC, within one day.</summary>
    public static bool TryParseTimeWithOffset(ReadOnlySpan<byte> text, out long micros)
    {
        if (!TryParseTimeWithOffset(text, out micros, out var offset))
            return false;
        if (micros == MicrosPerDay && offset == 0)
            return true;
        micros = (((micros - offset) % MicrosPerDay) + MicrosPerDay) % MicrosPerDay;
        return true;
    }

    /// <summary>Reads a time of day with an offset; the result is the local time and its offset, in microseconds east of UTC.</summary>
    public static bool TryParseTimeWithOffset(ReadOnlySpan<byte> text, out long micros, out long offset)
    {
        offset = 0;
        return TryTime(ref text, out micros) && TryOffset(ref text, out offset) && text.IsEmpty;
    }

    /// <summary>Reads a timestamp, with an offset such as <c>+02</c>, <c>-15:59</c> or <c>+05:53:28</c> where asked; the result is in UTC then.</summary>
    public static bool TryParse(ReadOnlySpan<byte> text, bool withOffset, out PostgresTime time)
    {
        time = default;
        var isBefore = TrimEra(ref text);
        if (!TryDate(ref text, isBefore, out var days) || text.IsEmpty || text[0] != (byte)' ')
            return false;
        text = text[1..];
        if (!TryTime(ref text, out var micros))
            return false;
        if (withOffset)
        {
            if (!TryOffset(ref text, out var offset))
                return false;
            micros -= offset;
            var shift = Math.DivRem(micros, MicrosPerDay, out micros);
            days += micros < 0 ? shift - 1 : shift;
            micros += micros < 0 ? MicrosPerDay : 0;
        }

        time = new PostgresTime(days, micros);
        return text.IsEmpty;
    }

    /// <summary>Milliseconds since 1970-01-01.</summary>
    public long EpochMillis => (Days * 86_400_000) + (Micros / 1000);

    /// <summary>
    /// Microseconds since 1970-01-01. Times after 294247-01-10 do not fit; they become the greatest number below the one for infinity.
    /// </summary>
    public long EpochMicros
    {
        get
        {
            var micros = ((Int128)Days * MicrosPerDay) + Micros;
            return micros >= long.MaxValue ? long.MaxValue - 1 : (long)micros;
        }
    }

    /// <summary>Nanoseconds since 1970-01-01; null before 1677 and after 2262, because they do not fit into 64 bits.</summary>
    public long? EpochNanos
    {
        get
        {
            var nanos = (((Int128)Days * MicrosPerDay) + Micros) * 1000;
            return nanos > long.MaxValue || nanos < long.MinValue ? null : (long)nanos;
        }
    }

    /// <summary>Digits of the second's fraction without zeros at its end, 0 to 6.</summary>
    public int Digits
    {
        get
        {
            var digits = 6;
            for (var fraction = Micros % 1_000_000; digits > 0 && fraction % 10 == 0; fraction /= 10)
                digits--;
            return digits;
        }
    }

    /// <summary>Writes ISO 8601 in UTC with so many digits of the second's fraction, such as <c>2024-02-29T12:34:56.789012Z</c>.</summary>
    public void WriteIso(JsonBuffer buffer, int fraction)
    {
        WriteIsoDate(buffer);
        var room = buffer.Room(16);
        var seconds = Micros / 1_000_000;
        room[0] = (byte)'T';
        Two(room[1..], seconds / 3600);
        room[3] = (byte)':';
        Two(room[4..], seconds / 60 % 60);
        room[6] = (byte)':';
        Two(room[7..], seconds % 60);
        buffer.Advance(9);
        if (fraction > 0)
        {
            buffer.Raw((byte)'.');
            var part = Micros % 1_000_000;
            for (var digit = fraction; digit < 6; digit++)
                part /= 10;
            buffer.Padded(part, fraction);
        }

        buffer.Raw((byte)'Z');
    }

    /// <summary>Writes only the date, such as <c>2024-02-29</c>; years as ISO 8601 counts them, before the first with a minus.</summary>
    public void WriteIsoDate(JsonBuffer buffer)
    {
        var (year, month, day) = CivilOf(Days);
        if (year < 0)
            buffer.Raw((byte)'-');
        else if (year > 9999)
            buffer.Raw((byte)'+');
        buffer.Padded(Math.Abs(year), 4);
        var room = buffer.Room(16);
        room[0] = (byte)'-';
        Two(room[1..], month);
        room[3] = (byte)'-';
        Two(room[4..], day);
        buffer.Advance(6);
    }

    /// <summary>Year, as ISO 8601 counts it, month and day of days since 1970-01-01.</summary>
    public static (long Year, long Month, long Day) CivilOf(long days)
    {
        // Eras of 400 years that begin on March 1st.
        var shifted = days + 719_468;
        var era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097;
        var dayOfEra = shifted - (era * 146_097);
        var yearOfEra = (dayOfEra - (dayOfEra / 1460) + (dayOfEra / 36_524) - (dayOfEra / 146_096)) / 365;
        var dayOfYear = dayOfEra - ((365 * yearOfEra) + (yearOfEra / 4) - (yearOfEra / 100));
        var fromMarch = ((5 * dayOfYear) + 2) / 153;
        var day = dayOfYear - (((153 * fromMarch) + 2) / 5) + 1;
        var month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9;
        return (yearOfEra + (era * 400) + (month <= 2 ? 1 : 0), month, day);
    }

    private static void Two(Span<byte> room, long value)
    {
        room[0] = (byte)('0' + (value / 10));
        room[1] = (byte)('0' + (value % 10));
    }

    private static bool TrimEra(ref ReadOnlySpan<byte> text)
    {
        if (!text.EndsWith(" BC"u8))
            return false;
        text = text[..^3];
        return true;
    }

    private static bool TryDate(ref ReadOnlySpan<byte> text, bool isBefore, out long days)
    {
        days = 0;
        if (!Utf8Parser.TryParse(text, out uint printed, out var used) || used < 4 || printed > 10_000_000 || text.Length < used + 6
            || text[used] != (byte)'-' || text[used + 3] != (byte)'-'
            || !TryTwo(text[(used + 1)..], out var month) || !TryTwo(text[(used + 4)..], out var day)
            || month is < 1 or > 12 || day is < 1 or > 31)
            return false;
        text = text[(used + 6)..];

        var year = isBefore ? 1 - (long)printed : printed;
        year -= month <= 2 ? 1 : 0;
        var era = (year >= 0 ? year : year - 399) / 400;
        var yearOfEra = year - (era * 400);
        var dayOfYear = (((153 * (month > 2 ? month - 3 : month + 9)) + 2) / 5) + day - 1;
        days = (era * 146_097) + (yearOfEra * 365) + (yearOfEra / 4) - (yearOfEra / 100) + dayOfYear - 719_468;
        return true;
    }

    private static bool TryTime(ref ReadOnlySpan<byte> text, out long micros)
    {
        micros = 0;
        if (text.Length < 8 || text[2] != (byte)':' || text[5] != (byte)':'
            || !TryTwo(text, out var hours) || !TryTwo(text[3..], out var minutes) || !TryTwo(text[6..], out var seconds)
            || hours > 24 || minutes > 59 || seconds > 60)
            return false;
        micros = ((((hours * 60L) + minutes) * 60) + seconds) * 1_000_000;
        text = text[8..];
        if (text.IsEmpty || text[0] != (byte)'.')
            return true;
        text = text[1..];
        var scale = 100_000;
        var digits = 0;
        while (digits < text.Length && text[digits] is >= (byte)'0' and <= (byte)'9')
        {
            micros += (text[digits++] - '0') * scale;
            scale /= 10;
        }

        text = text[digits..];
        return digits is > 0 and <= 6;
    }

    private static bool TryOffset(ref ReadOnlySpan<byte> text, out long micros)
    {
        micros = 0;
        if (text.Length < 3 || text[0] is not ((byte)'+' or (byte)'-') || !TryTwo(text[1..], out var hours))
            return false;
        var sign = text[0] == (byte)'-' ? -1 : 1;
        long seconds = hours * 3600;
        text = text[3..];
        for (var unit = 60; unit > 0 && !text.IsEmpty; unit /= 60)
        {
            if (text.Length < 3 || text[0] != (byte)':' || !TryTwo(text[1..], out var part))
                return false;
            seconds += part * unit;
            text = text[3..];
        }

        micros = sign * seconds * 1_000_000;
        return true;
    }

    private static bool TryTwo(ReadOnlySpan<byte> text, out int value)
    {
        value = 0;
        if (text.Length < 2 || text[0] is < (byte)'0' or > (byte)'9' || text[1] is < (byte)'0' or > (byte)'9')
            return false;
        value = ((text[0] - '0') * 10) + text[1] - '0';
        return true;
    }
}
