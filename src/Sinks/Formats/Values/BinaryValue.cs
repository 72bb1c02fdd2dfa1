using System.Buffers;
using System.Buffers.Text;
using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Sinks.Formats.Values;

/// <summary>Bytes and bits.</summary>
internal static class BinaryValue
{
    /// <summary>Writes a <c>bytea</c>. Returns false, and writes nothing, when the text is not such a value.</summary>
    public static bool TryWriteBytes(JsonBuffer buffer, ColumnForm column, ReadOnlySpan<byte> text)
    {
        var scratch = ArrayPool<byte>.Shared.Rent(text.Length + 1);
        try
        {
            var isHex = text.StartsWith("\\x"u8) && text.Length % 2 == 0;
            if (!(isHex && Convert.FromHexString(text[2..], scratch, out _, out var written) == OperationStatus.Done) && !TryUnescape(text, scratch, out written))
                return false;
            Write(buffer, column.Options.Binary, scratch.AsSpan(0, written));
            return true;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(scratch);
        }
    }

    /// <summary>Writes bytes by the option.</summary>
    public static void Write(JsonBuffer buffer, BinaryForm form, ReadOnlySpan<byte> bytes)
    {
        switch (form)
        {
            case BinaryForm.Hex:
                buffer.Quoted(Convert.ToHexStringLower(bytes));
                break;
            case BinaryForm.Base64Url:
                var text = Base64Url.EncodeToUtf8(bytes);
                buffer.Raw((byte)'"');
                buffer.Raw(text);
                for (var i = text.Length; i % 4 != 0; i++)
                    buffer.Raw((byte)'=');
                buffer.Raw((byte)'"');
                break;
            default:
                buffer.Base64(bytes);
                break;
        }
    }

    /// <summary>Writes a <c>bit</c> or <c>varbit</c> as little-endian bytes, as many as its highest set bit needs. Returns false when the text is not such a value.</summary>
    public static bool TryWriteBits(JsonBuffer buffer, ReadOnlySpan<byte> text)
    {
        if (text.ContainsAnyExcept((byte)'0', (byte)'1'))
            return false;
        var first = text.IndexOf((byte)'1');
        var bytes = new byte[first < 0 ? 0 : (text.Length - first + 7) / 8];
        for (var i = int.Max(first, 0); i < text.Length; i++)
        {
            var bit = text.Length - 1 - i;
            if (text[i] == (byte)'1')
                bytes[bit / 8] |= (byte)(1 << (bit % 8));
        }

        buffer.Base64(bytes);
        return true;
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
}
