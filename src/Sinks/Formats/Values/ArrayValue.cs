using System.Buffers;

namespace CdcOrleans.Sinks.Formats.Values;

/// <summary>
/// Arrays, from PostgreSQL's text such as <c>{1,NULL,"a \"b\""}</c> or <c>[0:1]={{1,2},{3,4}}</c> to nested JSON arrays. JSON cannot
/// express the bounds, so they are left out.
/// </summary>
internal static class ArrayValue
{
    private const int DeepestServer = 6;

    /// <summary>Writes an array. Returns false, and writes nothing, when the text is not such a value.</summary>
    public static bool TryWrite(JsonBuffer buffer, ColumnForm column, ReadOnlySpan<byte> text)
    {
        var start = buffer.Length;
        if (!text.IsEmpty && text[0] == (byte)'[')
        {
            var equals = text.IndexOf("]={"u8);
            if (equals < 0)
                return false;
            text = text[(equals + 2)..];
        }

        if (Braces(buffer, column, ref text, depth: 1) && text.IsEmpty)
            return true;
        buffer.CutTo(start);
        return false;
    }

    private static bool Braces(JsonBuffer buffer, ColumnForm column, ref ReadOnlySpan<byte> text, int depth)
    {
        if (depth > DeepestServer || !Take(ref text, (byte)'{'))
            return false;
        buffer.Raw((byte)'[');
        if (!Take(ref text, (byte)'}'))
        {
            while (true)
            {
                if (text.IsEmpty)
                    return false;
                var written = text[0] switch
                {
                    (byte)'{' => Braces(buffer, column, ref text, depth + 1),
                    (byte)'"' => Quoted(buffer, column.Element!, ref text),
                    _ => Plain(buffer, column, ref text),
                };
                if (!written)
                    return false;
                if (Take(ref text, (byte)'}'))
                    break;
                if (!Take(ref text, column.Delimiter))
                    return false;
                buffer.Raw((byte)',');
            }
        }

        buffer.Raw((byte)']');
        return true;
    }

    private static bool Plain(JsonBuffer buffer, ColumnForm column, ref ReadOnlySpan<byte> text)
    {
        var end = text.IndexOfAny(column.Delimiter, (byte)'}');
        if (end <= 0)
            return false;
        var value = text[..end];
        text = text[end..];
        if (value.SequenceEqual("NULL"u8))
            buffer.Raw("null"u8);
        else
            ValueWriter.Write(buffer, column.Element!, value);
        return true;
    }

    private static bool Quoted(JsonBuffer buffer, ColumnForm element, ref ReadOnlySpan<byte> text)
    {
        var rented = ArrayPool<byte>.Shared.Rent(text.Length);
        try
        {
            var length = 0;
            for (var i = 1; i < text.Length; i++)
            {
                var character = text[i];
                if (character == (byte)'"')
                {
                    text = text[(i + 1)..];
                    ValueWriter.Write(buffer, element, rented.AsSpan(0, length));
                    return true;
                }

                if (character == (byte)'\\')
                {
                    if (++i == text.Length)
                        return false;
                    character = text[i];
                }

                rented[length++] = character;
            }

            return false;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    private static bool Take(ref ReadOnlySpan<byte> text, byte expected)
    {
        if (text.IsEmpty || text[0] != expected)
            return false;
        text = text[1..];
        return true;
    }
}
