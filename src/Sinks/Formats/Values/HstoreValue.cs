using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Sinks.Formats.Values;

/// <summary>hstore, from text such as <c>"a"=>"1", "b"=>NULL</c>.</summary>
internal static class HstoreValue
{
    /// <summary>Writes the pairs. Returns false, and writes nothing, when the text is not such a value.</summary>
    public static bool TryWrite(JsonBuffer buffer, ColumnForm column, ReadOnlySpan<byte> text)
    {
        var pairs = new JsonBuffer();
        if (!TryPairs(pairs, text))
            return false;
        Write(buffer, column, pairs);
        return true;
    }

    /// <summary>Writes a pair whose name and value are the same text.</summary>
    public static void WriteOne(JsonBuffer buffer, ColumnForm column, string text)
    {
        var pair = new JsonBuffer();
        pair.Raw((byte)'{');
        pair.String(text);
        pair.Raw((byte)':');
        pair.String(text);
        pair.Raw((byte)'}');
        Write(buffer, column, pair);
    }

    private static void Write(JsonBuffer buffer, ColumnForm column, JsonBuffer pairs)
    {
        if (column.Options.Hstore == HstoreForm.Map)
            buffer.Raw(pairs.Written);
        else
            buffer.String(pairs.Written);
    }

    private static bool TryPairs(JsonBuffer pairs, ReadOnlySpan<byte> text)
    {
        pairs.Raw((byte)'{');
        for (var first = true; !text.IsEmpty; first = false)
        {
            if (!first)
            {
                if (!text.StartsWith(", "u8))
                    return false;
                text = text[2..];
                pairs.Raw((byte)',');
            }

            if (!TryQuoted(pairs, ref text) || !text.StartsWith("=>"u8))
                return false;
            text = text[2..];
            pairs.Raw((byte)':');
            if (text.StartsWith("NULL"u8))
            {
                text = text[4..];
                pairs.Raw("null"u8);
            }
            else if (!TryQuoted(pairs, ref text))
            {
                return false;
            }
        }

        pairs.Raw((byte)'}');
        return true;
    }

    // The end of a text is found before space is reserved, so that a long text is not read once per pair.
    private static bool TryQuoted(JsonBuffer pairs, ref ReadOnlySpan<byte> text)
    {
        if (text.IsEmpty || text[0] != (byte)'"')
            return false;
        var end = 1;
        var isEscaped = false;
        while (true)
        {
            var next = text[end..].IndexOfAny((byte)'"', (byte)'\\');
            if (next < 0)
                return false;
            end += next;
            if (text[end] == (byte)'"')
                break;
            isEscaped = true;
            end += 2;
            if (end > text.Length)
                return false;
        }

        var quoted = text[1..end];
        text = text[(end + 1)..];
        pairs.String(isEscaped ? Unescaped(quoted) : quoted);
        return true;
    }

    private static byte[] Unescaped(ReadOnlySpan<byte> quoted)
    {
        var plain = new byte[quoted.Length];
        var length = 0;
        for (var i = 0; i < quoted.Length; i++)
        {
            if (quoted[i] == (byte)'\\')
                i++;
            plain[length++] = quoted[i];
        }

        return plain[..length];
    }
}
