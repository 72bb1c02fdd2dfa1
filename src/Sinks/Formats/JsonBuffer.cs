using System.Buffers;
using System.Buffers.Text;
using System.Text;
using System.Text.Unicode;

namespace CdcOrleans.Sinks.Formats;

/// <summary>
/// A growing buffer of UTF-8 JSON, one per thread. The formats run once per change, so they copy text directly from the bytes of the log to
/// the bytes of the event, without strings and without the state of a JSON writer.
/// </summary>
internal sealed class JsonBuffer
{
    private const int KeptCapacity = 1 << 20;

    private static readonly SearchValues<byte> Escaped = SearchValues.Create(
        [.. Enumerable.Range(0, 0x20).Select(b => (byte)b), (byte)'"', (byte)'\\']);

    [ThreadStatic]
    private static JsonBuffer? _ofThread;

    private byte[] _bytes = new byte[4096];
    private int _length;

    /// <summary>Returns the empty buffer of the thread. It must not be kept, and not be used inside another use.</summary>
    public static JsonBuffer Take()
    {
        var buffer = _ofThread ??= new JsonBuffer();
        buffer.Shrink();
        buffer._length = 0;
        return buffer;
    }

    /// <summary>What was written so far.</summary>
    public ReadOnlySpan<byte> Written => _bytes.AsSpan(0, _length);

    /// <summary>Bytes written so far.</summary>
    public int Length => _length;

    /// <summary>Removes what was written.</summary>
    public void Clear() => _length = 0;

    /// <summary>Removes what was written after a length.</summary>
    public void CutTo(int length) => _length = length;

    /// <summary>What was written, as an array of its own. A buffer that has become large is empty afterwards, and keeps no memory.</summary>
    public byte[] ToArray()
    {
        var written = Written.ToArray();
        Shrink();
        return written;
    }

    /// <summary>Gives up the memory of a buffer that has become large. It is empty then.</summary>
    public void Shrink()
    {
        if (_bytes.Length <= KeptCapacity)
            return;
        _bytes = new byte[4096];
        _length = 0;
    }

    /// <summary>Copies bytes as they are.</summary>
    public void Raw(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(Room(bytes.Length));
        _length += bytes.Length;
    }

    /// <summary>One byte as it is.</summary>
    public void Raw(byte value)
    {
        Room(1)[0] = value;
        _length++;
    }

    /// <summary>A whole number.</summary>
    public void Number(long value)
    {
        Utf8Formatter.TryFormat(value, Room(20), out var written);
        _length += written;
    }

    /// <summary>A whole number without a sign.</summary>
    public void Number(ulong value)
    {
        Utf8Formatter.TryFormat(value, Room(20), out var written);
        _length += written;
    }

    /// <summary>A number with leading zeros up to a width.</summary>
    public void Padded(long value, int digits)
    {
        Utf8Formatter.TryFormat(value, Room(20 + digits), out var written, new StandardFormat('D', (byte)digits));
        _length += written;
    }

    /// <summary>A quoted string of ASCII text that needs no escape.</summary>
    public void Quoted(ReadOnlySpan<byte> plain)
    {
        var room = Room(plain.Length + 2);
        room[0] = (byte)'"';
        plain.CopyTo(room[1..]);
        room[plain.Length + 1] = (byte)'"';
        _length += plain.Length + 2;
    }

    /// <inheritdoc cref="Quoted(ReadOnlySpan{byte})" />
    public void Quoted(string plain)
    {
        Raw((byte)'"');
        _length += Encoding.ASCII.GetBytes(plain, Room(plain.Length));
        Raw((byte)'"');
    }

    /// <summary>A quoted JSON string of UTF-8 text; what is not UTF-8 becomes U+FFFD.</summary>
    public void String(ReadOnlySpan<byte> utf8)
    {
        Raw((byte)'"');
        Escape(utf8);
        Raw((byte)'"');
    }

    /// <summary>A quoted JSON string.</summary>
    public void String(string text) => String(Encoding.UTF8.GetBytes(text));

    /// <summary>A quoted JSON string of bytes in base64.</summary>
    public void Base64(ReadOnlySpan<byte> bytes)
    {
        Raw((byte)'"');
        System.Buffers.Text.Base64.EncodeToUtf8(bytes, Room(System.Buffers.Text.Base64.GetMaxEncodedToUtf8Length(bytes.Length)), out _, out var written);
        _length += written;
        Raw((byte)'"');
    }

    /// <summary>Returns at least this number of free bytes. The caller reports the used ones to <see cref="Advance"/>.</summary>
    /// <exception cref="InvalidOperationException">The event would be larger than an array can be, about 2 GB.</exception>
    public Span<byte> Room(int bytes)
    {
        if (_bytes.Length - _length < bytes)
        {
            var needed = (long)_length + bytes;
            if (needed > Array.MaxLength)
                throw new InvalidOperationException($"An event of {needed} bytes or more cannot be written: {Array.MaxLength} is the maximum. With a lower large_values.limit, its longest values are left out.");
            Array.Resize(ref _bytes, (int)Math.Clamp(2L * _bytes.Length, needed, Array.MaxLength));
        }

        return _bytes.AsSpan(_length);
    }

    /// <summary>Bytes of <see cref="Room"/> that were used.</summary>
    public void Advance(int bytes) => _length += bytes;

    private void Escape(ReadOnlySpan<byte> utf8)
    {
        if (!Utf8.IsValid(utf8))
            utf8 = Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(utf8));
        while (true)
        {
            var next = utf8.IndexOfAny(Escaped);
            if (next < 0)
            {
                Raw(utf8);
                return;
            }

            Raw(utf8[..next]);
            Escape(utf8[next]);
            utf8 = utf8[(next + 1)..];
        }
    }

    private void Escape(byte value)
    {
        switch (value)
        {
            case (byte)'"':
                Raw("\\\""u8);
                break;
            case (byte)'\\':
                Raw("\\\\"u8);
                break;
            case (byte)'\n':
                Raw("\\n"u8);
                break;
            case (byte)'\r':
                Raw("\\r"u8);
                break;
            case (byte)'\t':
                Raw("\\t"u8);
                break;
            case (byte)'\b':
                Raw("\\b"u8);
                break;
            case (byte)'\f':
                Raw("\\f"u8);
                break;
            default:
                Raw("\\u00"u8);
                Raw((byte)('0' + (value >> 4)));
                Raw("0123456789abcdef"u8[value & 15]);
                break;
        }
    }
}
