using System.Globalization;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Storage.Postgres;

/// <summary>A checkpoint's dead letters in slices that one statement can carry.</summary>
internal static class DeadLetterSlices
{
    /// <summary>Bytes of a key and a value together beyond which a dead letter is kept without them: the server has a gigabyte for a statement and copies what is in it.</summary>
    public const int MostOfOne = 256 << 20;

    public static IEnumerable<ArraySegment<DeadLetterRow>> Of(Checkpoint checkpoint)
    {
        ArraySegment<DeadLetterRow> rows = DeadLetterRow.From(checkpoint).Select(Fitting).ToArray();
        var start = 0;
        var bytes = 0L;
        for (var i = 0; i < rows.Count; i++)
        {
            var size = SizeOf(rows[i].Letter);
            if (i > start && (i - start == StateSlices.MostRows || bytes + size > StateSlices.MostBytes))
            {
                yield return rows[start..i];
                start = i;
                bytes = 0;
            }

            bytes += size;
        }

        if (start < rows.Count)
            yield return rows[start..];
    }

    // One that no statement could carry would hold up every later checkpoint of its source.
    private static DeadLetterRow Fitting(DeadLetterRow row)
    {
        var letter = row.Letter;
        if (Bytes(letter.Key) + Bytes(letter.Value) <= MostOfOne)
            return row;
        var keepsKey = Bytes(letter.Key) <= StateSlices.MostBytes;
        return row with
        {
            Letter = letter with
            {
                Key = keepsKey ? letter.Key : null,
                Value = null,
                Error = keepsKey
                    ? string.Create(CultureInfo.InvariantCulture, $"Kept without its value of {Bytes(letter.Value)} bytes, too large to store. {letter.Error}")
                    : string.Create(CultureInfo.InvariantCulture, $"Kept without its key of {Bytes(letter.Key)} and its value of {Bytes(letter.Value)} bytes, too large to store. {letter.Error}"),
            },
        };
    }

    private static long SizeOf(DeadLetter letter) =>
        128 + Bytes(letter.Key) + Bytes(letter.Value) + letter.Entity.Key.Length + letter.Error.Length;

    private static long Bytes(byte[]? data) => data?.LongLength ?? 0;
}
