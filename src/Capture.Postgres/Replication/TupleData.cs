using System.Text;
using CdcOrleans.Model.Changes;

namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>Where a column's value stands in a tuple.</summary>
internal readonly record struct ColumnPlace(ColumnKind Kind, int Offset, int Length);

/// <summary>Rows as the log has them, read in place (<see cref="RowImageReader"/>), and rows made of other things that the log tells.</summary>
internal static class TupleData
{
    /// <summary>Bytes that the tuple at the start of <paramref name="data"/> takes.</summary>
    /// <exception cref="InvalidDataException">The tuple ends early or is not in text form.</exception>
    public static int LengthOf(ReadOnlySpan<byte> data)
    {
        var reader = new RowImageReader(data);
        while (reader.MoveNext())
        {
            // The end is what counts.
        }

        return reader.Position;
    }

    /// <summary>
    /// Finds key columns in one pass. <paramref name="keyOfColumn"/> has, per column up to the last of the key, its place in
    /// the key or −1.
    /// </summary>
    public static void Locate(ReadOnlySpan<byte> tuple, ReadOnlySpan<int> keyOfColumn, Span<ColumnPlace> key)
    {
        var reader = new RowImageReader(tuple);
        if (reader.ColumnCount < keyOfColumn.Length)
            throw new InvalidDataException("A row of the log has fewer columns than its relation.");
        foreach (var place in keyOfColumn)
        {
            reader.MoveNext();
            if (place >= 0)
                key[place] = new ColumnPlace(reader.Kind, reader.TextStart, reader.TextLength);
        }
    }

    /// <summary>Whether the tuple leaves a value out because it was not changed.</summary>
    public static bool HasUnchanged(ReadOnlySpan<byte> tuple) => new RowImageReader(tuple).Any(ColumnKind.Unchanged);

    /// <summary>
    /// The newer tuple, completed from the older tuple of the same schema: each unchanged value is copied, from any column, or only from
    /// the columns of <paramref name="keyOfColumn"/> when the older one has only the key.
    /// </summary>
    public static byte[] Complete(ReadOnlySpan<byte> newer, ReadOnlySpan<byte> older, ReadOnlySpan<int> keyOfColumn)
    {
        var columns = RowImageReader.CountOf(newer);
        if (RowImageReader.CountOf(older) != columns)
            throw new InvalidDataException("The old and the new row of an update differ in their number of columns.");
        var newReader = new RowImageReader(newer);
        var oldReader = new RowImageReader(older);
        var added = 0;
        for (var i = 0; i < columns; i++)
        {
            if (IsTaken(ref newReader, ref oldReader, keyOfColumn, i))
                added += RowImageWriter.SizeOf(oldReader.Kind, oldReader.TextLength) - RowImageWriter.SizeOf(ColumnKind.Unchanged, 0);
        }

        // What stays is copied in runs of columns.
        var completed = new byte[newReader.Position + added];
        var writer = new RowImageWriter(completed, columns);
        newReader = new RowImageReader(newer);
        oldReader = new RowImageReader(older);
        var copied = newReader.Position;
        for (var i = 0; i < columns; i++)
        {
            var newStart = newReader.Position;
            var oldStart = oldReader.Position;
            if (!IsTaken(ref newReader, ref oldReader, keyOfColumn, i))
                continue;
            writer.WriteColumns(newer[copied..newStart]);
            writer.WriteColumns(older[oldStart..oldReader.Position]);
            copied = newReader.Position;
        }

        writer.WriteColumns(newer[copied..newReader.Position]);
        return completed;
    }

    /// <summary>A tuple of these values; null stands for SQL NULL.</summary>
    public static byte[] Of(params ReadOnlySpan<string?> values)
    {
        var size = RowImageWriter.EmptySize;
        foreach (var value in values)
            size += RowImageWriter.SizeOf(KindOf(value), value is null ? 0 : Encoding.UTF8.GetByteCount(value));
        var tuple = new byte[size];
        var writer = new RowImageWriter(tuple, values.Length);
        foreach (var value in values)
        {
            if (value is null)
                writer.Write(ColumnKind.Null, default);
            else
                Encoding.UTF8.GetBytes(value, writer.WriteText(Encoding.UTF8.GetByteCount(value)));
        }

        return tuple;
    }

    /// <summary>The tuple of a logical message: its prefix, and its content in the text form of <c>bytea</c>, written once and straight.</summary>
    /// <param name="prefix">The prefix.</param>
    /// <param name="content">The content.</param>
    /// <param name="isOmitted">Whether the content was left out because it is too long.</param>
    public static byte[] OfMessage(ReadOnlySpan<byte> prefix, ReadOnlySpan<byte> content, bool isOmitted)
    {
        var kind = isOmitted ? ColumnKind.Omitted : ColumnKind.Text;
        var length = (int)LogicalMessage.TextLength(content.Length);
        var tuple = new byte[RowImageWriter.EmptySize + RowImageWriter.SizeOf(ColumnKind.Text, prefix.Length) + RowImageWriter.SizeOf(kind, length)];
        var writer = new RowImageWriter(tuple, 2);
        writer.Write(ColumnKind.Text, prefix);
        if (isOmitted)
        {
            writer.Write(kind, default);
            return tuple;
        }

        var text = writer.WriteText(length);
        "\\x"u8.CopyTo(text);
        Convert.TryToHexStringLower(content, text[2..], out _);
        return tuple;
    }

    // Goes to the next column of both; true where the completed tuple has that of the older one.
    private static bool IsTaken(ref RowImageReader newer, ref RowImageReader older, ReadOnlySpan<int> keyOfColumn, int column)
    {
        newer.MoveNext();
        older.MoveNext();
        return newer.Kind == ColumnKind.Unchanged && (keyOfColumn.IsEmpty || (column < keyOfColumn.Length && keyOfColumn[column] >= 0));
    }

    private static ColumnKind KindOf(string? value) => value is null ? ColumnKind.Null : ColumnKind.Text;
}
