using System.Buffers;
using System.IO.Hashing;
using System.Text;

namespace CdcOrleans.Sinks.File;

/// <summary>Names of files for topics.</summary>
internal static class FileName
{
    private const string Ending = ".ndjson";
    private const int MostBytes = 255;
    private static readonly SearchValues<char> Plain = SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

    /// <summary>
    /// <c>&lt;topic&gt;.ndjson</c>. A topic that could leave the folder, or that a file system may not take, is written with <c>_</c> for
    /// the characters in question and a hash of its name, so that no two topics share a file.
    /// </summary>
    public static string For(string topic)
    {
        if (topic.Length is > 0 and <= MostBytes - 7 && topic[0] != '.' && !topic.AsSpan().ContainsAnyExcept(Plain))
            return topic + Ending;
        var safe = string.Create(Math.Min(topic.Length, 200), topic, static (span, from) =>
        {
            for (var i = 0; i < span.Length; i++)
                span[i] = Plain.Contains(from[i]) && !(i == 0 && from[i] == '.') ? from[i] : '_';
        });
        return $"{safe}-{XxHash3.HashToUInt64(Encoding.UTF8.GetBytes(topic)):x16}{Ending}";
    }
}
