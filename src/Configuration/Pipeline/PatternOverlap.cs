namespace CdcOrleans.Configuration.Pipeline;

/// <summary>Decides whether two patterns (<c>*</c> for any text) can match the same name.</summary>
internal static class PatternOverlap
{
    /// <summary>Whether some name matches both patterns.</summary>
    public static bool Exists(ReadOnlySpan<char> left, ReadOnlySpan<char> right)
    {
        // below[j]: whether some text matches both left[i + 1..] and right[j..]. The array "row" gets the same for left[i..].
        var below = new bool[right.Length + 1];
        var row = new bool[right.Length + 1];
        for (var i = left.Length; i >= 0; i--)
        {
            for (var j = right.Length; j >= 0; j--)
            {
                var leftStar = i < left.Length && left[i] == '*';
                var rightStar = j < right.Length && right[j] == '*';
                row[j] = (i == left.Length && j == right.Length)
                    // The star ends here, or it matches one more character of the other pattern.
                    || (leftStar && (below[j] || (j < right.Length && row[j + 1])))
                    || (rightStar && (row[j + 1] || (i < left.Length && below[j])))
                    || (i < left.Length && j < right.Length && left[i] == right[j] && below[j + 1]);
            }

            (below, row) = (row, below);
        }

        return below[0];
    }
}
