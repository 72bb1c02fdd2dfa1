using System.Buffers.Binary;
using System.Text;
using CdcOrleans.Model.Changes;

namespace CdcOrleans.Unit.Capture;

/// <summary>Writes pgoutput messages as a server does.</summary>
internal sealed class LogWriter
{
    private const long EpochMicros = 946_684_800_000_000;
    private readonly MemoryStream _bytes = new();

    public static byte[] Begin(ulong commit, long unixMicros, uint xid) =>
        new LogWriter().Code('B').UInt64(commit).Int64(unixMicros - EpochMicros).UInt32(xid).ToArray();

    public static byte[] Commit(ulong commit, ulong end) => new LogWriter().Code('C').Byte(0).UInt64(commit).UInt64(end).Int64(0).ToArray();

    public static byte[] Origin(string name) => new LogWriter().Code('O').UInt64(1).Text(name).ToArray();

    public static byte[] Type() => new LogWriter().Code('Y').UInt32(16400).Text("public").Text("mood").ToArray();

    public static byte[] Message(bool transactional, ulong lsn, string prefix, string content) =>
        new LogWriter().Code('M').Byte(transactional ? (byte)1 : (byte)0).UInt64(lsn).Text(prefix)
            .UInt32((uint)Encoding.UTF8.GetByteCount(content)).Raw(Encoding.UTF8.GetBytes(content)).ToArray();

    public static byte[] Truncate(params uint[] relations)
    {
        var writer = new LogWriter().Code('T').UInt32((uint)relations.Length).Byte(0);
        foreach (var relation in relations)
            writer.UInt32(relation);
        return writer.ToArray();
    }

    public static byte[] Relation(uint oid, string schema, string name, char identity, params (bool Key, string Name, uint Type, int Modifier)[] columns)
    {
        var writer = new LogWriter().Code('R').UInt32(oid).Text(schema).Text(name).Byte((byte)identity).Int16((short)columns.Length);
        foreach (var (key, column, type, modifier) in columns)
            writer.Byte(key ? (byte)1 : (byte)0).Text(column).UInt32(type).UInt32(unchecked((uint)modifier));
        return writer.ToArray();
    }

    public static byte[] Insert(uint relation, byte[] row) => new LogWriter().Code('I').UInt32(relation).Code('N').Raw(row).ToArray();

    public static byte[] Update(uint relation, byte[] row) => new LogWriter().Code('U').UInt32(relation).Code('N').Raw(row).ToArray();

    public static byte[] Update(uint relation, char oldKind, byte[] oldRow, byte[] row) =>
        new LogWriter().Code('U').UInt32(relation).Code(oldKind).Raw(oldRow).Code('N').Raw(row).ToArray();

    public static byte[] Delete(uint relation, char oldKind, byte[] oldRow) =>
        new LogWriter().Code('D').UInt32(relation).Code(oldKind).Raw(oldRow).ToArray();

    /// <summary>A tuple: null is SQL NULL, <see cref="Unchanged"/> a value left out.</summary>
    public static byte[] Row(params string?[] values)
    {
        var writer = new LogWriter().Int16((short)values.Length);
        foreach (var value in values)
        {
            if (value is null)
            {
                writer.Byte((byte)ColumnKind.Null);
            }
            else if (ReferenceEquals(value, Unchanged))
            {
                writer.Byte((byte)ColumnKind.Unchanged);
            }
            else
            {
                var text = Encoding.UTF8.GetBytes(value);
                writer.Byte((byte)ColumnKind.Text).UInt32((uint)text.Length).Raw(text);
            }
        }

        return writer.ToArray();
    }

    public static readonly string Unchanged = new("(unchanged)");

    private LogWriter Code(char code) => Byte((byte)code);

    private LogWriter Byte(byte value)
    {
        _bytes.WriteByte(value);
        return this;
    }

    private LogWriter Int16(short value)
    {
        Span<byte> bytes = stackalloc byte[2];
        BinaryPrimitives.WriteInt16BigEndian(bytes, value);
        return Raw(bytes);
    }

    private LogWriter UInt32(uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        return Raw(bytes);
    }

    private LogWriter Int64(long value) => UInt64(unchecked((ulong)value));

    private LogWriter UInt64(ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, value);
        return Raw(bytes);
    }

    private LogWriter Text(string value) => Raw(Encoding.UTF8.GetBytes(value)).Byte(0);

    private LogWriter Raw(ReadOnlySpan<byte> bytes)
    {
        _bytes.Write(bytes);
        return this;
    }

    private byte[] ToArray() => _bytes.ToArray();
}
