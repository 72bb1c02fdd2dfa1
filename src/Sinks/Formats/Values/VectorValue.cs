using System.Globalization;

namespace CdcOrleans.Sinks.Formats.Values;

/// <summary>
/// pgvector's types: <c>vector</c> and <c>halfvec</c>, printed as <c>[1,2.5]</c>, become arrays of numbers; <c>sparsevec</c>, printed as
/// <c>{1:1.5,3:-2}/5</c>, its dimensions and pairs of place and number.
/// </summary>
internal static class VectorValue
{
    /// <summary>Writes a dense vector. Returns false, and writes nothing, when the text is not such a value.</summary>
    public static bool TryWriteDense(JsonBuffer buffer, ReadOnlySpan<byte> text)
    {
        if (text is not [(byte)'[', .. var numbers, (byte)']'] || numbers.EndsWith(","u8))
            return false;
        var start = buffer.Length;
        buffer.Raw((byte)'[');
        for (var first = true; !numbers.IsEmpty; first = false)
        {
            if (!first)
                buffer.Raw((byte)',');
            if (!NumberValue.TryWriteFloat(buffer, Next(ref numbers), isSingle: true))
            {
                buffer.CutTo(start);
                return false;
            }
        }

        buffer.Raw((byte)']');
        return true;
    }

    /// <summary>Writes a sparse vector. Returns false, and writes nothing, when the text is not such a value.</summary>
    public static bool TryWriteSparse(JsonBuffer buffer, ReadOnlySpan<byte> text)
    {
        var slash = text.LastIndexOf((byte)'/');
        if (slash < 0 || text[..slash] is not [(byte)'{', .. var pairs, (byte)'}'] || pairs.EndsWith(","u8)
            || !int.TryParse(text[(slash + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out var dimensions))
            return false;
        var start = buffer.Length;
        buffer.Raw("{\"dimensions\":"u8);
        buffer.Number((long)dimensions);
        buffer.Raw(",\"vector\":["u8);
        for (var first = true; !pairs.IsEmpty; first = false)
        {
            var pair = Next(ref pairs);
            var colon = pair.IndexOf((byte)':');
            buffer.Raw(first ? "["u8 : ",["u8);
            if (colon < 0 || !int.TryParse(pair[..colon], NumberStyles.None, CultureInfo.InvariantCulture, out var place))
            {
                buffer.CutTo(start);
                return false;
            }

            buffer.Number((long)place);
            buffer.Raw((byte)',');
            if (!NumberValue.TryWriteFloat(buffer, pair[(colon + 1)..], isSingle: true))
            {
                buffer.CutTo(start);
                return false;
            }

            buffer.Raw((byte)']');
        }

        buffer.Raw("]}"u8);
        return true;
    }

    private static ReadOnlySpan<byte> Next(ref ReadOnlySpan<byte> list)
    {
        var comma = list.IndexOf((byte)',');
        var item = comma < 0 ? list : list[..comma];
        list = comma < 0 ? default : list[(comma + 1)..];
        return item;
    }
}
