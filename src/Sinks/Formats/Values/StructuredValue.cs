using System.Text;

namespace CdcOrleans.Sinks.Formats.Values;

/// <summary>Dates, times and intervals as JSON objects of their parts. Infinity is a special value without parts.</summary>
internal static class StructuredValue
{
    private const long Second = 1_000_000;

    /// <summary>Whether values of a column are written in this form.</summary>
    public static bool IsOf(ColumnForm column) => column is
    {
        Unit: TimeUnit.Parts,
        Form: ValueForm.Date or ValueForm.Time or ValueForm.TimeUtc or ValueForm.Timestamp or ValueForm.TimestampUtc or ValueForm.Interval,
    };

    /// <summary>Writes the zero of a column's type: the beginning of 1970, the beginning of a day, or an empty interval.</summary>
    public static void WriteZero(JsonBuffer buffer, ColumnForm column)
    {
        const string date = "{\"year\":1970,\"month\":1,\"day\":1", clock = "\"hour\":0,\"minute\":0,\"second\":0,\"nanos\":0";
        buffer.Raw(Encoding.ASCII.GetBytes(column.Form switch
        {
            ValueForm.Date => date + ",\"specialValue\":null",
            ValueForm.Time => "{" + clock,
            ValueForm.TimeUtc => "{" + clock + ",\"offsetSeconds\":0",
            ValueForm.Timestamp => date + "," + clock + ",\"specialValue\":null",
            ValueForm.TimestampUtc => date + "," + clock + ",\"offsetSeconds\":0,\"zoneId\":null,\"specialValue\":null",
            _ => "{\"years\":0,\"months\":0,\"days\":0,\"hours\":0,\"minutes\":0,\"seconds\":0,\"nanos\":0",
        }));
        if (column.Form == ValueForm.Date)
            buffer.Raw((byte)'}');
        else
            WriteEnd(buffer, column);
    }

    /// <summary>Writes a date. Returns false when the text is not such a value.</summary>
    public static bool TryWriteDate(JsonBuffer buffer, ReadOnlySpan<byte> text)
    {
        if (PostgresTime.TryParseDate(text, out var days))
        {
            WriteDate(buffer, days);
            buffer.Raw(",\"specialValue\":null"u8);
        }
        else if (SpecialOf(text) is { } special)
        {
            buffer.Raw("{\"year\":null,\"month\":null,\"day\":null"u8);
            WriteSpecial(buffer, special);
        }
        else
        {
            return false;
        }

        buffer.Raw((byte)'}');
        return true;
    }

    /// <summary>Writes a time of day. Returns false when the text is not such a value.</summary>
    public static bool TryWriteTime(JsonBuffer buffer, ColumnForm column, ReadOnlySpan<byte> text)
    {
        if (!PostgresTime.TryParseTime(text, out var micros))
            return false;
        buffer.Raw((byte)'{');
        WriteClock(buffer, micros);
        WriteEnd(buffer, column);
        return true;
    }

    /// <summary>Writes a time of day with its offset. Returns false when the text is not such a value.</summary>
    public static bool TryWriteTimeWithOffset(JsonBuffer buffer, ColumnForm column, ReadOnlySpan<byte> text)
    {
        if (!PostgresTime.TryParseTimeWithOffset(text, out var micros, out var offset))
            return false;
        buffer.Raw((byte)'{');
        WriteClock(buffer, micros);
        buffer.Raw(",\"offsetSeconds\":"u8);
        buffer.Number(offset / Second);
        WriteEnd(buffer, column);
        return true;
    }

    /// <summary>Writes a timestamp, in UTC where it has a zone. Returns false when the text is not such a value.</summary>
    public static bool TryWriteTimestamp(JsonBuffer buffer, ColumnForm column, ReadOnlySpan<byte> text)
    {
        var isUtc = column.Form == ValueForm.TimestampUtc;
        if (PostgresTime.TryParse(text, isUtc, out var time))
        {
            WriteDate(buffer, time.Days);
            buffer.Raw((byte)',');
            WriteClock(buffer, time.Micros);
            if (isUtc)
                buffer.Raw(",\"offsetSeconds\":0,\"zoneId\":\"Z\""u8);
            buffer.Raw(",\"specialValue\":null"u8);
        }
        else if (SpecialOf(text) is { } special)
        {
            buffer.Raw("{\"year\":null,\"month\":null,\"day\":null,\"hour\":null,\"minute\":null,\"second\":null,\"nanos\":null"u8);
            if (isUtc)
                buffer.Raw(",\"offsetSeconds\":null,\"zoneId\":null"u8);
            WriteSpecial(buffer, special);
        }
        else
        {
            return false;
        }

        WriteEnd(buffer, column);
        return true;
    }

    /// <summary>Writes the end of an object, which has the number of fraction digits of the column.</summary>
    public static void WriteEnd(JsonBuffer buffer, ColumnForm column)
    {
        buffer.Raw(",\"precision\":"u8);
        buffer.Number((long)column.Fraction);
        buffer.Raw((byte)'}');
    }

    private static void WriteDate(JsonBuffer buffer, long days)
    {
        var (year, month, day) = PostgresTime.CivilOf(days);
        buffer.Raw("{\"year\":"u8);
        buffer.Number(year);
        buffer.Raw(",\"month\":"u8);
        buffer.Number(month);
        buffer.Raw(",\"day\":"u8);
        buffer.Number(day);
    }

    private static void WriteClock(JsonBuffer buffer, long micros)
    {
        var seconds = micros / Second;
        buffer.Raw("\"hour\":"u8);
        buffer.Number(seconds / 3600);
        buffer.Raw(",\"minute\":"u8);
        buffer.Number(seconds / 60 % 60);
        buffer.Raw(",\"second\":"u8);
        buffer.Number(seconds % 60);
        buffer.Raw(",\"nanos\":"u8);
        buffer.Number(micros % Second * 1000);
    }

    private static void WriteSpecial(JsonBuffer buffer, string special)
    {
        buffer.Raw(",\"specialValue\":"u8);
        buffer.Quoted(special);
    }

    private static string? SpecialOf(ReadOnlySpan<byte> text) =>
        text.SequenceEqual("infinity"u8) ? "POSITIVE_INFINITY" : text.SequenceEqual("-infinity"u8) ? "NEGATIVE_INFINITY" : null;
}
