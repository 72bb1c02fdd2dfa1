using System.Globalization;
using CdcOrleans.Model.Changes;

namespace CdcOrleans.Gateway.Api;

/// <summary>Reads the bounds of a window of changes: a commit time, or a position in the log.</summary>
internal static class WindowText
{
    private static readonly string[] Times = ["yyyy-MM-dd", "yyyy-MM-dd'T'HH:mmK", "yyyy-MM-dd'T'HH:mm:ssK", "yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK"];

    /// <summary>Reads a bound. Nothing is no bound; null when it is wrong (<see cref="Wrong"/>).</summary>
    public static (DateTimeOffset? Time, Lsn? Lsn)? Bound(string? value)
    {
        if (value is null)
            return (null, null);
        if (DateTimeOffset.TryParseExact(value, Times, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time))
            return (time, null);
        try
        {
            return (null, Lsn.Parse(value));
        }
        catch (FormatException)
        {
            return null;
        }
    }

    /// <summary>Says what is wrong with a bound.</summary>
    public static string Wrong(string value) =>
        $"'{RequestText.Short(value)}' is neither a time nor a position in the log. Write a time as 2026-01-31T12:00:00Z, or an LSN as 16/B374D848.";

    /// <summary>Writes a bound; null when there is none.</summary>
    public static string? Of(DateTimeOffset? time, Lsn? lsn) => time is { } at ? at.UtcDateTime.ToString("O", CultureInfo.InvariantCulture) : lsn?.ToString();
}
