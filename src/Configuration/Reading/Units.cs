using System.Globalization;

namespace CdcOrleans.Configuration.Reading;

/// <summary>Parses and formats durations and sizes with their units.</summary>
internal static class Units
{
    // Largest unit first: a number is printed in the largest unit that divides it.
    private static readonly (string Unit, long Factor)[] Durations = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    private static readonly (string Unit, long Factor)[] Sizes = [("GB", 1L << 30), ("MB", 1L << 20), ("KB", 1L << 10), ("", 1)];

    /// <summary>Reads <c>200ms</c>, <c>10s</c>, <c>5m</c>, <c>1h</c>, <c>7d</c>, or <c>0</c>.</summary>
    public static bool TryDuration(string text, out TimeSpan duration)
    {
        var read = TryRead(text, Durations, out var milliseconds) || (text == "0" && milliseconds == 0);
        var fits = read && milliseconds <= (long)TimeSpan.MaxValue.TotalMilliseconds;
        duration = fits ? TimeSpan.FromMilliseconds(milliseconds) : TimeSpan.MaxValue;
        return read;
    }

    /// <summary>Reads <c>64MB</c>, <c>512KB</c>, <c>1GB</c> or plain bytes; 1 KB is 1024 bytes.</summary>
    public static bool TrySize(string text, out long bytes) => TryRead(text, Sizes, out bytes);

    /// <summary>A duration as it is written in the file.</summary>
    public static string Show(TimeSpan duration) => duration == TimeSpan.Zero ? "0" : Show((long)duration.TotalMilliseconds, Durations);

    /// <summary>A size as it is written in the file.</summary>
    public static string Show(long bytes) => Show(bytes, Sizes);

    // A number that is too large for a long becomes the largest long, so that the range check can report the range.
    private static bool TryRead(string text, (string Unit, long Factor)[] units, out long figure)
    {
        figure = 0;
        var digits = text.AsSpan().IndexOfAnyExceptInRange('0', '9');
        digits = digits < 0 ? text.Length : digits;
        if (digits == 0)
            return false;
        foreach (var (unit, factor) in units)
        {
            if (!text.AsSpan(digits).SequenceEqual(unit))
                continue;
            figure = long.TryParse(text.AsSpan(0, digits), NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count <= long.MaxValue / factor
                ? count * factor
                : long.MaxValue;
            return true;
        }

        return false;
    }

    private static string Show(long figure, (string Unit, long Factor)[] units)
    {
        var (unit, factor) = units.First(u => figure % u.Factor == 0);
        return string.Create(CultureInfo.InvariantCulture, $"{figure / factor}{unit}");
    }
}
