namespace CdcOrleans.Configuration.Reading;

/// <summary>Finds the word that a misspelt word was probably meant to be.</summary>
internal static class Spelling
{
    /// <summary>The nearest known word within two edits (one for words of up to three letters), ignoring case; null when none is near.</summary>
    public static string? Nearest(string word, IEnumerable<string> known)
    {
        string? nearest = null;
        var least = int.MaxValue;
        foreach (var candidate in known)
        {
            var distance = Distance(word.ToUpperInvariant(), candidate.ToUpperInvariant());
            // When every character would have to be replaced, it is not a misspelling.
            if (distance < least && distance < Math.Max(word.Length, candidate.Length) && distance <= (Math.Min(word.Length, candidate.Length) <= 3 ? 1 : 2))
            {
                least = distance;
                nearest = candidate;
            }
        }

        return nearest;
    }

    /// <summary><c>; did you mean 'x'?</c>, or only <c>;</c>. The caller must add more text.</summary>
    public static string Hint(string word, IEnumerable<string> known) => Nearest(word, known) is { } nearest ? $"; did you mean '{nearest}'?" : ";";

    /// <summary>Levenshtein distance: insertions, deletions and replacements of one character.</summary>
    internal static int Distance(ReadOnlySpan<char> left, ReadOnlySpan<char> right)
    {
        var row = new int[right.Length + 1];
        for (var j = 0; j <= right.Length; j++)
            row[j] = j;
        for (var i = 1; i <= left.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= right.Length; j++)
            {
                var replaced = diagonal + (left[i - 1] == right[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(replaced, Math.Min(row[j], row[j - 1]) + 1);
            }
        }

        return row[right.Length];
    }
}
