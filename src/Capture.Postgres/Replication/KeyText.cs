using System.Buffers;
using System.Text;
using CdcOrleans.Model.Changes;

namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>Makes canonical key text (<see cref="Model.Entities.EntityKeyText"/>) directly from the bytes of a tuple.</summary>
internal static class KeyText
{
    /// <summary>Returns the key text of columns that were located.</summary>
    public static string Of(ReadOnlySpan<byte> tuple, ReadOnlySpan<ColumnPlace> key)
    {
        if (key.Length == 1 && key[0].Kind == ColumnKind.Text)
        {
            var text = tuple.Slice(key[0].Offset, key[0].Length);
            if (text.IndexOfAny((byte)'\\', (byte)',') < 0)
                return Encoding.UTF8.GetString(text);
        }

        return Join(tuple, key);
    }

    /// <summary>Whether the key's columns have the same values in two tuples.</summary>
    public static bool Same(ReadOnlySpan<byte> left, ReadOnlySpan<ColumnPlace> leftKey, ReadOnlySpan<byte> right, ReadOnlySpan<ColumnPlace> rightKey)
    {
        for (var i = 0; i < leftKey.Length; i++)
        {
            var (l, r) = (leftKey[i], rightKey[i]);
            if (l.Kind != r.Kind || !left.Slice(l.Offset, l.Length).SequenceEqual(right.Slice(r.Offset, r.Length)))
                return false;
        }

        return true;
    }

    // Backslash and comma are single bytes that are not part of any other character in UTF-8. So escaping the bytes is the same as escaping
    // the text.
    private static string Join(ReadOnlySpan<byte> tuple, ReadOnlySpan<ColumnPlace> key)
    {
        var most = 0;
        foreach (var column in key)
            most += (2 * column.Length) + 3;
        var rented = most > 512 ? ArrayPool<byte>.Shared.Rent(most) : null;
        try
        {
            Span<byte> text = rented ?? stackalloc byte[512];
            var length = 0;
            for (var i = 0; i < key.Length; i++)
            {
                if (i > 0)
                    text[length++] = (byte)',';
                if (key[i].Kind == ColumnKind.Null)
                {
                    text[length++] = (byte)'\\';
                    text[length++] = (byte)'N';
                    continue;
                }

                foreach (var character in tuple.Slice(key[i].Offset, key[i].Length))
                {
                    if (character is (byte)'\\' or (byte)',')
                        text[length++] = (byte)'\\';
                    text[length++] = character;
                }
            }

            return Encoding.UTF8.GetString(text[..length]);
        }
        finally
        {
            if (rented is not null)
                ArrayPool<byte>.Shared.Return(rented);
        }
    }
}
