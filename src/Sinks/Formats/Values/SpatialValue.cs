using System.Buffers;
using System.Buffers.Binary;

namespace CdcOrleans.Sinks.Formats.Values;

/// <summary>
/// PostGIS' <c>geometry</c> and <c>geography</c>, from the hexadecimal extended well-known binary that they print to the same bytes in
/// base64, with the reference system beside.
/// </summary>
internal static class SpatialValue
{
    // Byte order, type with flags, and the reference system where its flag is set.
    private const int OrderAndType = 5;
    private const uint HasReference = 0x2000_0000;

    /// <summary>Writes a value. Returns false, and writes nothing, when the text is not such a value.</summary>
    public static bool TryWrite(JsonBuffer buffer, bool isGeometry, ReadOnlySpan<byte> text)
    {
        var scratch = ArrayPool<byte>.Shared.Rent((text.Length / 2) + 1);
        try
        {
            if (Convert.FromHexString(text, scratch, out _, out var length) != OperationStatus.Done || !TryReference(scratch.AsSpan(0, length), out var reference))
                return false;
            buffer.Raw("{\"wkb\":"u8);
            buffer.Base64(scratch.AsSpan(0, length));
            buffer.Raw(",\"srid\":"u8);
            if (reference is { } number)
                buffer.Number(number);
            else
                buffer.Raw("null"u8);
            buffer.Raw(isGeometry ? ",\"extensions\":null}"u8 : "}"u8);
            return true;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(scratch);
        }
    }

    private static bool TryReference(ReadOnlySpan<byte> binary, out int? reference)
    {
        reference = null;
        if (binary.Length < OrderAndType || binary[0] > 1)
            return false;
        var isLittle = binary[0] == 1;
        var type = isLittle ? BinaryPrimitives.ReadUInt32LittleEndian(binary[1..]) : BinaryPrimitives.ReadUInt32BigEndian(binary[1..]);
        if ((type & HasReference) == 0)
            return true;
        var rest = binary[OrderAndType..];
        if (rest.Length < sizeof(int))
            return false;
        reference = isLittle ? BinaryPrimitives.ReadInt32LittleEndian(rest) : BinaryPrimitives.ReadInt32BigEndian(rest);
        return true;
    }
}
