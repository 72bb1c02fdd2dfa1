using System.Buffers.Binary;

namespace CdcOrleans.Model.Changes;

/// <summary>
/// Writes the bytes of a row that <see cref="RowImageReader"/> reads, into memory of the exact size: <see cref="EmptySize"/> and the
/// <see cref="SizeOf(ColumnKind, int)"/> of each column.
/// </summary>
public ref struct RowImageWriter
{
    /// <summary>Bytes of a row without columns.</summary>
    public const int EmptySize = RowImageReader.CountSize;

    /// <summary>Most bytes of a column before its text.</summary>
    public const int HeadSize = RowImageReader.KindSize + RowImageReader.LengthSize;

    private Span<byte> _rest;

    /// <summary>Begins a row with so many columns.</summary>
    public RowImageWriter(Span<byte> bytes, int columns)
    {
        BinaryPrimitives.WriteInt16BigEndian(bytes, (short)columns);
        _rest = bytes[EmptySize..];
    }

    /// <summary>Bytes that a column takes.</summary>
    public static int SizeOf(ColumnKind kind, int textLength) => kind == ColumnKind.Text ? HeadSize + textLength : RowImageReader.KindSize;

    /// <summary>Bytes that a column takes.</summary>
    public static int SizeOf(RowImage.Column column) => SizeOf(column.Kind, column.Text.Length);

    /// <summary>Writes what a column has before its text.</summary>
    /// <returns>The bytes written; at most <see cref="HeadSize"/>.</returns>
    public static int WriteHead(Span<byte> bytes, ColumnKind kind, int textLength)
    {
        bytes[0] = (byte)kind;
        if (kind != ColumnKind.Text)
            return RowImageReader.KindSize;
        BinaryPrimitives.WriteInt32BigEndian(bytes[RowImageReader.KindSize..], textLength);
        return HeadSize;
    }

    /// <summary>Writes the next column.</summary>
    public void Write(RowImage.Column column) => Write(column.Kind, column.Text);

    /// <summary>Writes the next column; its text is empty for the kinds that have none.</summary>
    public void Write(ColumnKind kind, ReadOnlySpan<byte> text)
    {
        _rest = _rest[WriteHead(_rest, kind, text.Length)..];
        text.CopyTo(_rest);
        _rest = _rest[text.Length..];
    }

    /// <summary>Writes the next columns as they stand in another row.</summary>
    public void WriteColumns(ReadOnlySpan<byte> columns)
    {
        columns.CopyTo(_rest);
        _rest = _rest[columns.Length..];
    }

    /// <summary>Writes the next column, whose text the caller fills in.</summary>
    /// <returns>Where the text goes.</returns>
    public Span<byte> WriteText(int length)
    {
        var text = _rest.Slice(WriteHead(_rest, ColumnKind.Text, length), length);
        _rest = _rest[(HeadSize + length)..];
        return text;
    }
}
