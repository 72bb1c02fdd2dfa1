using System.Buffers.Binary;
using System.Text;
using CdcOrleans.Model.Changes;

namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>Where a column's value stands in a tuple.</summary>
internal readonly record struct ColumnPlace(ColumnKind Kind, int Offset, int Length);

/// <summary>Reads <c>TupleData</c> in place: a 16-bit column count, then per column a kind byte and, for text, a length and the text.</summary>
internal static class TupleData
{
    /// <summary>Bytes that the tuple at the start of <paramref name="data"/> takes.</summary>
    /// <exception cref="InvalidDataException">The tuple ends early or is not in text form.</exception>
    public static int LengthOf(ReadOnlySpan<byte> data)
    {
        var columns = Columns(data);
        var at = 2;
        for (var i = 0; i < columns; i++)
            at = Next(data, at, out _);
        return at;
    }

    /// <summary>
    /// Finds key columns in one pass. <paramref name="keyOfColumn"/> has, per column up to the last of the key, its place in
    /// the key or −1.
    /// </summary>
    public static void Locate(ReadOnlySpan<byte> tuple, ReadOnlySpan<int> keyOfColumn, Span<ColumnPlace> key)
    {
        if (Columns(tuple) < keyOfColumn.Length)
            throw new InvalidDataException("A row of the log has fewer columns than its relation.");
        var at = 2;
        foreach (var place in keyOfColumn)
        {
            at = Next(tuple, at, out var column);
            if (place >= 0)
                key[place] = column;
        }
    }

    /// <summary>Whether the tuple leaves a value out because it was not changed.</summary>
    public static bool HasUnchanged(ReadOnlySpan<byte> tuple)
    {
        var columns = Columns(tuple);
        var at = 2;
        for (var i = 0; i < columns; i++)
        {
            at = Next(tuple, at, out var column);
            if (column.Kind == ColumnKind.Unchanged)
                return true;
        }

        return false;
    }

    /// <summary>
    /// The newer tuple, completed from the older tuple of the same schema: each unchanged value is copied, from any column, or only from
    /// the columns of <paramref name="keyOfColumn"/> when the older one has only the key.
    /// </summary>
    public static byte[] Complete(ReadOnlySpan<byte> newer, ReadOnlySpan<byte> older, ReadOnlySpan<int> keyOfColumn)
    {
        var columns = Columns(newer);
        if (Columns(older) != columns)
            throw new InvalidDataException("The old and the new row of an update differ in their number of columns.");
        using var completed = new MemoryStream(newer.Length + older.Length);
        completed.Write(newer[..2]);
        int newAt = 2, oldAt = 2;
        for (var i = 0; i < columns; i++)
        {
            var newEnd = Next(newer, newAt, out var column);
            var oldEnd = Next(older, oldAt, out _);
            var held = keyOfColumn.IsEmpty || (i < keyOfColumn.Length && keyOfColumn[i] >= 0);
            completed.Write(held && column.Kind == ColumnKind.Unchanged ? older[oldAt..oldEnd] : newer[newAt..newEnd]);
            newAt = newEnd;
            oldAt = oldEnd;
        }

        return completed.ToArray();
    }

    /// <summary>Stands for a value that was left out of <see cref="Of"/>.</summary>
    public static readonly string LeftOut = new("(left out)");

    /// <summary>A tuple of these values; null stands for SQL NULL, and <see cref="LeftOut"/>, the object, for a value left out.</summary>
    public static byte[] Of(params ReadOnlySpan<string?> values)
    {
        var size = 2;
        foreach (var value in values)
            size += KindOf(value) != ColumnKind.Text ? 1 : 5 + Encoding.UTF8.GetByteCount(value!);
        var tuple = new byte[size];
        BinaryPrimitives.WriteInt16BigEndian(tuple, (short)values.Length);
        var rest = tuple.AsSpan(2);
        foreach (var value in values)
        {
            rest[0] = (byte)KindOf(value);
            rest = rest[1..];
            if (KindOf(value) != ColumnKind.Text)
                continue;
            var length = Encoding.UTF8.GetBytes(value!, rest[4..]);
            BinaryPrimitives.WriteInt32BigEndian(rest, length);
            rest = rest[(4 + length)..];
        }

        return tuple;
    }

    /// <summary>The tuple of a logical message: its prefix, and its content in the text form of <c>bytea</c>, written once and straight.</summary>
    public static byte[] OfMessage(ReadOnlySpan<byte> prefix, ReadOnlySpan<byte> content)
    {
        var length = (int)LogicalMessage.TextLength(content.Length);
        var tuple = new byte[2 + 5 + prefix.Length + 5 + length];
        BinaryPrimitives.WriteInt16BigEndian(tuple, 2);
        var rest = Text(tuple.AsSpan(2), prefix.Length);
        prefix.CopyTo(rest);
        rest = Text(rest[prefix.Length..], length);
        "\\x"u8.CopyTo(rest);
        Convert.TryToHexStringLower(content, rest[2..], out _);
        return tuple;
    }

    private static Span<byte> Text(Span<byte> rest, int length)
    {
        rest[0] = (byte)ColumnKind.Text;
        BinaryPrimitives.WriteInt32BigEndian(rest[1..], length);
        return rest[5..];
    }

    private static ColumnKind KindOf(string? value) =>
        value is null ? ColumnKind.Null : ReferenceEquals(value, LeftOut) ? ColumnKind.Omitted : ColumnKind.Text;

    private static int Columns(ReadOnlySpan<byte> tuple)
    {
        if (tuple.Length < 2)
            throw Truncated();
        return BinaryPrimitives.ReadInt16BigEndian(tuple);
    }

    private static int Next(ReadOnlySpan<byte> tuple, int at, out ColumnPlace column)
    {
        if (at >= tuple.Length)
            throw Truncated();
        var kind = (ColumnKind)tuple[at];
        if (kind == ColumnKind.Text)
        {
            if (tuple.Length - at < 5)
                throw Truncated();
            var length = BinaryPrimitives.ReadInt32BigEndian(tuple[(at + 1)..]);
            if ((uint)length > (uint)(tuple.Length - at - 5))
                throw Truncated();
            column = new ColumnPlace(kind, at + 5, length);
            return at + 5 + length;
        }

        if (kind is not (ColumnKind.Null or ColumnKind.Unchanged or ColumnKind.Omitted))
            throw new InvalidDataException($"A row of the log has a column of kind 0x{(byte)kind:X2}, which the text protocol does not have.");
        column = new ColumnPlace(kind, at + 1, 0);
        return at + 1;
    }

    private static InvalidDataException Truncated() => new("A row of the log ends early.");
}
