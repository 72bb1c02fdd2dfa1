namespace CdcOrleans.Storage.Postgres;

/// <summary>Rows that one statement writes.</summary>
/// <param name="Rows">The rows; at least one.</param>
/// <param name="Bytes">Approximate bytes of them in the statement.</param>
internal readonly record struct Slice<T>(ArraySegment<T> Rows, long Bytes);

/// <summary>Divides the rows of a checkpoint into slices for one statement each.</summary>
internal static class Slices
{
    /// <summary>Maximum number of rows in one statement.</summary>
    public const int MostRows = 2000;

    /// <summary>Approximate maximum of bytes in one statement, far below the 1 GB limit of a message. A larger row has a statement of its own.</summary>
    public const int MostBytes = 16 << 20;

    /// <summary>Makes the slices, in the order of the rows.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="sizeOf">Approximate bytes of a row in a statement.</param>
    public static IEnumerable<Slice<T>> Of<T>(ArraySegment<T> rows, Func<T, long> sizeOf)
    {
        var start = 0;
        var bytes = 0L;
        for (var i = 0; i < rows.Count; i++)
        {
            var size = sizeOf(rows[i]);
            if (i > start && (i - start == MostRows || bytes + size > MostBytes))
            {
                yield return new Slice<T>(rows[start..i], bytes);
                start = i;
                bytes = 0;
            }

            bytes += size;
        }

        if (start < rows.Count)
            yield return new Slice<T>(rows[start..], bytes);
    }
}
