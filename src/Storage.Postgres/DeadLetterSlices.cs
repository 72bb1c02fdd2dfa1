using System.Globalization;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Storage.Postgres;

/// <summary>
/// The dead letters of a checkpoint in the order of their versions, in slices for one statement each. Because of the order, a checkpoint of
/// a stale owner and one of its successor, which have the same dead letters, wait for each other instead of causing a deadlock.
/// </summary>
internal static class DeadLetterSlices
{
    /// <summary>
    /// Maximum size of key and value together, in bytes. A larger dead letter is stored without its value, and without a key that is too
    /// long as well: the server limits a statement to 1 GB and copies its content.
    /// </summary>
    public const int MostOfOne = 256 << 20;

    public static IEnumerable<Slice<DeadLetterRow>> Of(Checkpoint checkpoint)
    {
        ArraySegment<DeadLetterRow> rows = DeadLetterRow.From(checkpoint).OrderBy(r => r.Letter.Version).ThenBy(r => r.Letter.Sink, StringComparer.Ordinal).Select(Fitting).ToArray();
        return Slices.Of(rows, row => SizeOf(row.Letter));
    }

    // A dead letter that does not fit into a statement would make every later checkpoint of its source fail.
    private static DeadLetterRow Fitting(DeadLetterRow row)
    {
        var letter = row.Letter;
        if (Bytes(letter.Key) + Bytes(letter.Value) <= MostOfOne)
            return row;
        var keepsKey = Bytes(letter.Key) <= Slices.MostBytes;
        return row with
        {
            Letter = letter with
            {
                Key = keepsKey ? letter.Key : null,
                Value = null,

                // Without its value it would be sent again as a tombstone.
                HasEvent = false,
                Error = keepsKey
                    ? string.Create(CultureInfo.InvariantCulture, $"Kept without its value of {Bytes(letter.Value)} bytes, too large to store. {letter.Error}")
                    : string.Create(CultureInfo.InvariantCulture, $"Kept without its key of {Bytes(letter.Key)} and its value of {Bytes(letter.Value)} bytes, too large to store. {letter.Error}"),
            },
        };
    }

    private static long SizeOf(DeadLetter letter) =>
        128 + Bytes(letter.Key) + Bytes(letter.Value) + letter.Entity.Key.Length + letter.Error.Length
        + (letter.Headers?.Sum(h => h.Key.Length + (h.Value.Length * 4L / 3)) ?? 0);

    private static long Bytes(byte[]? data) => data?.LongLength ?? 0;
}
