using CdcOrleans.Grains.Interfaces.Configuration;

namespace CdcOrleans.Sinks.Formats.Values;

/// <summary>hstore, from text such as <c>"a"=>"1", "b"=>NULL</c>.</summary>
internal static class HstoreValue
{
    /// <summary>Writes the pairs; false, and nothing written, where the text is none.</summary>
    public static bool TryWrite(JsonBuffer buffer, ColumnForm column, ReadOnlySpan<byte> text)
    {
        var pairs = new JsonBuffer();
        if (!TryPairs(pairs, text))
            return false;
        if (column.Options.Hstore == HstoreForm.Map)
            buffer.Raw(pairs.Written);
        else
            buffer.String(pairs.Written);
        return true;
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

    private static bool TryQuoted(JsonBuffer pairs, ref ReadOnlySpan<byte> text)
    {
        if (text.IsEmpty || text[0] != (byte)'"')
            return false;
        var plain = new byte[text.Length];
        var length = 0;
        for (var i = 1; i < text.Length; i++)
        {
            var character = text[i];
            if (character == (byte)'"')
            {
                text = text[(i + 1)..];
                pairs.String(plain.AsSpan(0, length));
                return true;
            }

            if (character == (byte)'\\')
            {
                if (++i == text.Length)
                    return false;
                character = text[i];
            }

            plain[length++] = character;
        }

        return false;
    }
}
