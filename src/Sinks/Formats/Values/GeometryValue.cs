using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;

namespace CdcOrleans.Sinks.Formats.Values;

/// <summary>
/// PostgreSQL's geometric types, as Debezium writes them: points and circles as numbers, lines by their equation, the others in
/// well-known binary (little-endian, without a reference system) with the type's name beside.
/// </summary>
internal static class GeometryValue
{
    private const int Point = 1, LineString = 2, Polygon = 3;

    private static readonly SearchValues<byte> Brackets = SearchValues.Create("()[]{}<>,"u8);

    /// <summary>Writes a value. Returns false, and writes nothing, when the text is not a value of the type.</summary>
    public static bool TryWrite(JsonBuffer buffer, GeometryKind kind, ReadOnlySpan<byte> text)
    {
        if (!TryNumbers(text, out var numbers))
            return false;
        switch (kind)
        {
            case GeometryKind.Point when numbers is [var x, var y]:
                WritePoint(buffer, x, y);
                return true;
            case GeometryKind.Line when numbers is [var a, var b, var c]:
                buffer.Raw("{\"a\":"u8);
                NumberValue.WriteDouble(buffer, a);
                buffer.Raw(",\"b\":"u8);
                NumberValue.WriteDouble(buffer, b);
                buffer.Raw(",\"c\":"u8);
                NumberValue.WriteDouble(buffer, c);
                buffer.Raw((byte)'}');
                return true;
            case GeometryKind.Circle when numbers is [var x, var y, var radius]:
                buffer.Raw("{\"center\":"u8);
                WritePoint(buffer, x, y);
                buffer.Raw(",\"radius\":"u8);
                NumberValue.WriteDouble(buffer, radius);
                buffer.Raw((byte)'}');
                return true;
            case GeometryKind.Segment when numbers.Count == 4:
                WriteShape(buffer, Binary(LineString, numbers), ",\"srid\":null,\"extensions\":{\"type\":\"lseg\"}}"u8);
                return true;
            case GeometryKind.Box when numbers is [var right, var top, var left, var bottom]:
                WriteShape(
                    buffer, Binary(Polygon, [right, top, right, bottom, left, bottom, left, top, right, top]),
                    ",\"srid\":null,\"extensions\":{\"type\":\"box\"}}"u8);
                return true;
            case GeometryKind.Path when numbers.Count >= 2 && numbers.Count % 2 == 0:
                WriteShape(buffer, Binary(LineString, numbers), text[0] == (byte)'['
                    ? ",\"srid\":null,\"extensions\":{\"type\":\"path\",\"closed\":\"false\"}}"u8
                    : ",\"srid\":null,\"extensions\":{\"type\":\"path\",\"closed\":\"true\"}}"u8);
                return true;
            case GeometryKind.Polygon when numbers.Count >= 2 && numbers.Count % 2 == 0:
                WriteShape(buffer, Binary(Polygon, [.. numbers, numbers[0], numbers[1]]), ",\"srid\":null,\"extensions\":{\"type\":\"polygon\"}}"u8);
                return true;
            default:
                return false;
        }
    }

    /// <summary>Writes the origin.</summary>
    public static void WriteZero(JsonBuffer buffer) => WritePoint(buffer, 0, 0);

    private static void WritePoint(JsonBuffer buffer, double x, double y)
    {
        buffer.Raw("{\"x\":"u8);
        NumberValue.WriteDouble(buffer, x);
        buffer.Raw(",\"y\":"u8);
        NumberValue.WriteDouble(buffer, y);
        buffer.Raw(",\"wkb\":"u8);
        buffer.Base64(Binary(Point, [x, y]));
        buffer.Raw(",\"srid\":null}"u8);
    }

    private static void WriteShape(JsonBuffer buffer, byte[] binary, ReadOnlySpan<byte> rest)
    {
        buffer.Raw("{\"wkb\":"u8);
        buffer.Base64(binary);
        buffer.Raw(rest);
    }

    // Byte order, kind, for polygons the number of rings, for all but points the number of points, the coordinates.
    private static byte[] Binary(int kind, List<double> coordinates)
    {
        var counts = kind switch { Point => 0, LineString => 1, _ => 2 };
        var binary = new byte[5 + (4 * counts) + (8 * coordinates.Count)];
        binary[0] = 1;
        BinaryPrimitives.WriteInt32LittleEndian(binary.AsSpan(1), kind);
        if (counts == 2)
            BinaryPrimitives.WriteInt32LittleEndian(binary.AsSpan(5), 1);
        if (counts > 0)
            BinaryPrimitives.WriteInt32LittleEndian(binary.AsSpan(1 + (4 * counts)), coordinates.Count / 2);
        for (var i = 0; i < coordinates.Count; i++)
            BinaryPrimitives.WriteInt64LittleEndian(binary.AsSpan(5 + (4 * counts) + (8 * i)), Bits(coordinates[i]));
        return binary;
    }

    // NaN has many forms; this is the one that others write.
    private static long Bits(double value) => double.IsNaN(value) ? 0x7FF8_0000_0000_0000 : BitConverter.DoubleToInt64Bits(value);

    // The numbers of a text that has nothing beside them but brackets and commas.
    private static bool TryNumbers(ReadOnlySpan<byte> text, out List<double> numbers)
    {
        numbers = [];
        while (!text.IsEmpty)
        {
            var start = text.IndexOfAnyExcept(Brackets);
            if (start < 0)
                break;
            text = text[start..];
            var end = text.IndexOfAny(Brackets);
            var number = end < 0 ? text : text[..end];
            if (!double.TryParse(number, NumberStyles.Float, CultureInfo.InvariantCulture, out var value))
                return false;
            numbers.Add(value);
            text = text[number.Length..];
        }

        return numbers.Count > 0;
    }
}

/// <summary>A geometric type.</summary>
internal enum GeometryKind : byte
{
    /// <summary><c>(x,y)</c></summary>
    Point,

    /// <summary><c>{a,b,c}</c>: ax + by + c = 0.</summary>
    Line,

    /// <summary><c>[(x,y),(x,y)]</c></summary>
    Segment,

    /// <summary><c>(x,y),(x,y)</c>: upper right and lower left corner.</summary>
    Box,

    /// <summary><c>[(x,y),…]</c> open, <c>((x,y),…)</c> closed.</summary>
    Path,

    /// <summary><c>((x,y),…)</c></summary>
    Polygon,

    /// <summary><c>&lt;(x,y),r&gt;</c></summary>
    Circle,
}
