namespace CdcOrleans.Sinks.Formats.Values;

/// <summary>Dates, times and timestamps without a zone in the form of the options, and times of day with a zone.</summary>
internal static class TimeValue
{
    // The values that the PostgreSQL driver of Debezium uses for infinity.
    private const long DateInfinity = 2146033979;
    private const long DateMinusInfinity = -2147472691;
    private const long MillisInfinity = 9223372036825200000;
    private const long MillisMinusInfinity = -9223372036832400000;

    /// <summary>Writes a date. Returns false when the text is not such a value.</summary>
    public static bool TryWriteDate(JsonBuffer buffer, ColumnForm column, ReadOnlySpan<byte> text)
    {
        if (!PostgresTime.TryParseDate(text, out var days))
        {
            if (column.Unit == TimeUnit.Text || !TryInfinity(text, DateInfinity, DateMinusInfinity, out days))
                return false;
            buffer.Number(days);
            return true;
        }

        if (column.Unit != TimeUnit.Text)
        {
            buffer.Number(days);
            return true;
        }

        buffer.Raw((byte)'"');
        new PostgresTime(days, 0).WriteIsoDate(buffer);
        buffer.Raw("Z\""u8);
        return true;
    }

    /// <summary>Writes a time of day. Returns false when the text is not such a value.</summary>
    public static bool TryWriteTime(JsonBuffer buffer, ColumnForm column, ReadOnlySpan<byte> text)
    {
        if (!PostgresTime.TryParseTime(text, out var micros))
            return false;
        switch (column.Unit)
        {
            case TimeUnit.Milliseconds:
                buffer.Number(micros / 1000);
                break;
            case TimeUnit.Microseconds:
                buffer.Number(micros);
                break;
            case TimeUnit.Nanoseconds:
                buffer.Number(micros * 1000);
                break;
            default:
                Iso(buffer, micros);
                break;
        }

        return true;
    }

    /// <summary>Writes a timestamp. Returns false when the text is not such a value.</summary>
    public static bool TryWriteTimestamp(JsonBuffer buffer, ColumnForm column, ReadOnlySpan<byte> text)
    {
        if (PostgresTime.TryParse(text, withOffset: false, out var time))
        {
            switch (column.Unit)
            {
                case TimeUnit.Milliseconds:
                    buffer.Number(time.EpochMillis);
                    break;
                case TimeUnit.Microseconds:
                    buffer.Number(time.EpochMicros);
                    break;
                case TimeUnit.Nanoseconds:
                    if (time.EpochNanos is not { } nanos)
                        return false;
                    buffer.Number(nanos);
                    break;
                default:
                    buffer.Raw((byte)'"');
                    time.WriteIso(buffer, time.Digits);
                    buffer.Raw((byte)'"');
                    break;
            }

            return true;
        }

        long number = 0;
        var isInfinity = column.Unit switch
        {
            TimeUnit.Milliseconds => TryInfinity(text, MillisInfinity, MillisMinusInfinity, out number),
            TimeUnit.Text => false,
            _ => TryInfinity(text, long.MaxValue, long.MinValue, out number),
        };
        if (isInfinity)
            buffer.Number(number);
        return isInfinity;
    }

    /// <summary>Writes a time of day with an offset, in UTC. Returns false when the text is not such a value.</summary>
    public static bool TryWriteTimeUtc(JsonBuffer buffer, ReadOnlySpan<byte> text)
    {
        if (!PostgresTime.TryParseTimeWithOffset(text, out var micros))
            return false;
        Iso(buffer, micros);
        return true;
    }

    // With the digits of fraction in the text.
    private static void Iso(JsonBuffer buffer, long micros)
    {
        var seconds = micros / 1_000_000;
        buffer.Raw((byte)'"');
        buffer.Padded(seconds / 3600, 2);
        buffer.Raw((byte)':');
        buffer.Padded(seconds / 60 % 60, 2);
        buffer.Raw((byte)':');
        buffer.Padded(seconds % 60, 2);
        var fraction = micros % 1_000_000;
        if (fraction > 0)
        {
            var digits = 6;
            for (; fraction % 10 == 0; fraction /= 10)
                digits--;
            buffer.Raw((byte)'.');
            buffer.Padded(fraction, digits);
        }

        buffer.Raw("Z\""u8);
    }

    private static bool TryInfinity(ReadOnlySpan<byte> text, long positive, long negative, out long number)
    {
        var isPositive = text.SequenceEqual("infinity"u8);
        number = isPositive ? positive : negative;
        return isPositive || text.SequenceEqual("-infinity"u8);
    }
}
