using System.Buffers.Binary;
using System.Text;

namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>A forward reader over one message of the replication protocol: big-endian numbers, zero-terminated UTF-8 text.</summary>
internal ref struct WireReader(ReadOnlySpan<byte> message)
{
    /// <summary>The bytes that were not read yet.</summary>
    public ReadOnlySpan<byte> Rest { get; private set; } = message;

    public byte Byte() => Take(1)[0];

    public short Int16() => BinaryPrimitives.ReadInt16BigEndian(Take(2));

    public int Int32() => BinaryPrimitives.ReadInt32BigEndian(Take(4));

    public uint UInt32() => BinaryPrimitives.ReadUInt32BigEndian(Take(4));

    public long Int64() => BinaryPrimitives.ReadInt64BigEndian(Take(8));

    public ulong UInt64() => BinaryPrimitives.ReadUInt64BigEndian(Take(8));

    public ReadOnlySpan<byte> Bytes(int length) => Take(length);

    public ReadOnlySpan<byte> TextBytes()
    {
        var end = Rest.IndexOf((byte)0);
        if (end < 0)
            throw Truncated();
        return Take(end + 1)[..end];
    }

    public string Text() => Encoding.UTF8.GetString(TextBytes());

    private ReadOnlySpan<byte> Take(int length)
    {
        if ((uint)length > (uint)Rest.Length)
            throw Truncated();
        var taken = Rest[..length];
        Rest = Rest[length..];
        return taken;
    }

    private static InvalidDataException Truncated() => new("A message of the replication protocol ends early.");
}
