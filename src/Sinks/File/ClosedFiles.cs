using System.Globalization;
using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Sinks.File;

/// <summary>
/// Files of a topic that are complete: <c>&lt;topic&gt;~20261231T235959.999Z.ndjson</c>, with the time of the last write. No topic's own
/// file has such a name. A second file of the same millisecond is named by the next one. All calls are made under the lock of the folder.
/// </summary>
internal static class ClosedFiles
{
    private const string Extension = ".ndjson";
    private const string TimeFormat = "yyyyMMdd'T'HHmmss.fff'Z'";

    /// <summary>Whether the file must be closed before more is written.</summary>
    /// <param name="path">The file.</param>
    /// <param name="more">Bytes that are to be written.</param>
    /// <param name="rotation">When files are closed.</param>
    /// <param name="now">The time.</param>
    public static bool IsDue(string path, long more, FileRotation rotation, DateTimeOffset now)
    {
        var file = new FileInfo(path);
        if (!file.Exists || file.Length == 0)
            return false;
        if (rotation.Size is { } size && file.Length + more > size)
            return true;
        return rotation.Every is { } every && now.UtcTicks / every.Ticks > file.LastWriteTimeUtc.Ticks / every.Ticks;
    }

    /// <summary>Closes a file, and deletes the oldest closed ones beyond the number that is kept.</summary>
    /// <param name="path">The file.</param>
    /// <param name="time">The time of its last write, UTC.</param>
    /// <param name="rotation">How many are kept.</param>
    public static void Close(string path, DateTime time, FileRotation rotation)
    {
        var name = path[..^Extension.Length];
        string closed;
        do
        {
            closed = $"{name}~{time.ToString(TimeFormat, CultureInfo.InvariantCulture)}{Extension}";
            time = time.AddMilliseconds(1);
        }
        while (System.IO.File.Exists(closed));
        System.IO.File.Move(path, closed);
        if (rotation.Keep is not { } keep)
            return;
        foreach (var old in Of(path).Order(StringComparer.Ordinal).SkipLast(keep).ToList())
            System.IO.File.Delete(old);
    }

    // Another topic's name may begin with the same letters.
    private static IEnumerable<string> Of(string path)
    {
        var name = Path.GetFileNameWithoutExtension(path);
        return Directory.EnumerateFiles(Path.GetDirectoryName(path)!, $"{name}~*{Extension}").Where(
            f => DateTime.TryParseExact(
                Path.GetFileNameWithoutExtension(f)[(name.Length + 1)..], TimeFormat, CultureInfo.InvariantCulture, DateTimeStyles.None, out _));
    }
}
