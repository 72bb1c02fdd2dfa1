using System.Buffers.Binary;

namespace CdcOrleans.Model.Changes;

/// <summary>
/// Reads the bytes of a row from first to last column. Their layout stands here and in <see cref="RowImageWriter"/>, and nowhere else:
/// a 16-bit column count; per column a kind byte and, for <see cref="ColumnKind.Text"/>, a 32-bit length and the UTF-8 text; big-endian.
/// </summary>
public ref struct RowImageReader
{
    /// <summary>Bytes of the column count, with which a row begins.</summary>
    public const int CountSize = 2;

    /// <summary>Bytes of a column's kind.</summary>
    public const int KindSize = 1;

    /// <summary>Bytes of a text's length.</summary>
    public const int LengthSize = 4;

    private readonly ReadOnlySpan<byte> _bytes;
    private int _left;
    private int _end;
    private int _text;
    private ColumnKind _kind;

    /// <summary>Begins to read the row at the start of <paramref name="bytes"/>; more may stand behind it.</summary>
    /// <exception cref="InvalidDataException">The column count is missing or negative.</exception>
    public RowImageReader(ReadOnlySpan<byte> bytes)
    {
        _bytes = bytes;
        _end = CountSize;
        ColumnCount = _left = CountOf(bytes);
    }

    /// <summary>Number of columns.</summary>
    public int ColumnCount { get; }

    /// <summary>Bytes read so far; after the last column, the size of the row.</summary>
    public readonly int Position => _end;

    /// <summary>How the column at hand stands.</summary>
    public readonly ColumnKind Kind => _kind;

    /// <summary>Where the text of the column at hand begins.</summary>
    public readonly int TextStart => _text;

    /// <summary>Bytes of the text of the column at hand; zero for the kinds that have none.</summary>
    public readonly int TextLength => _end - _text;

    /// <summary>The column at hand.</summary>
    public readonly RowImage.Column Current => new(_kind, _bytes[_text.._end]);

    /// <summary>The column count at the start of a row.</summary>
    /// <exception cref="InvalidDataException">It is missing or negative.</exception>
    public static int CountOf(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < CountSize)
            throw EndsEarly();
        var count = BinaryPrimitives.ReadInt16BigEndian(bytes);
        return count >= 0 ? count : throw new InvalidDataException($"A row has {count} columns.");
    }

    /// <summary>The length of a text, which stands before it.</summary>
    public static int LengthOf(ReadOnlySpan<byte> bytes) => BinaryPrimitives.ReadInt32BigEndian(bytes);

    /// <summary>Goes to the next column; false after the last.</summary>
    /// <exception cref="InvalidDataException">The row ends early or holds a column of an unknown kind.</exception>
    public bool MoveNext()
    {
        if (_left == 0)
            return false;
        _left--;
        if (_end >= _bytes.Length)
            throw EndsEarly();
        _kind = (ColumnKind)_bytes[_end];
        if (_kind == ColumnKind.Text)
        {
            _text = _end + KindSize + LengthSize;
            if (_text > _bytes.Length)
                throw EndsEarly();
            var length = LengthOf(_bytes[(_end + KindSize)..]);
            if ((uint)length > (uint)(_bytes.Length - _text))
                throw EndsEarly();
            _end = _text + length;
            return true;
        }

        if (_kind is not (ColumnKind.Null or ColumnKind.Unchanged or ColumnKind.Omitted))
            throw new InvalidDataException($"Unknown column kind 0x{(byte)_kind:X2} in a row image.");
        _text = _end += KindSize;
        return true;
    }

    /// <summary>Whether one of the columns not read yet is of a kind. Reads up to it.</summary>
    public bool Any(ColumnKind kind)
    {
        while (MoveNext())
        {
            if (_kind == kind)
                return true;
        }

        return false;
    }

    private static InvalidDataException EndsEarly() => new("A row ends early.");
}
