using System.Buffers;
using System.IO.Hashing;
using System.Text;

namespace CdcOrleans.Sinks.File;

/// <summary>Names of files for topics.</summary>
internal static class FileName
{
    private const int MaxLength = 200;

    private static readonly SearchValues<byte> Safe = SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"u8);

    /// <summary>
    /// <c>&lt;topic&gt;.ndjson</c>. Every byte that is unsafe in a file name, and a dot at the start, is written as <c>%XX</c>, so no two
    /// topics share a file. Names longer than 200 characters are cut and end in a hash of the topic.
    /// </summary>
    public static string For(string topic)
    {
        var utf8 = Encoding.UTF8.GetBytes(topic);
        var name = new StringBuilder(topic.Length + 16);
        for (var i = 0; i < utf8.Length; i++)
        {
            if (Safe.Contains(utf8[i]) && (i > 0 || utf8[i] != (byte)'.'))
                name.Append((char)utf8[i]);
            else
                name.Append('%').Append(utf8[i].ToString("X2"));
        }

        if (name.Length > MaxLength)
        {
            name.Length = MaxLength - 17;
            name.Append('~').Append(XxHash3.HashToUInt64(utf8).ToString("x16"));
        }

        return name.Append(".ndjson").ToString();
    }
}
