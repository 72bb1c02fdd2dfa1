using System.Buffers.Text;
using System.Globalization;
using System.Text;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Sinks;

/// <summary>Names and values of the headers that every event has in addition to those of its format. Values are UTF-8 text.</summary>
internal static class EventHeaders
{
    public const string Id = "cdc.id";
    public const string Version = "cdc.version";
    public const string Origin = "cdc.origin";
    public const string Schema = "cdc.schema";

    /// <summary>The event's id (<see cref="SinkEvent.Id"/>).</summary>
    public static byte[] IdOf(SinkEvent single)
    {
        var source = single.Source;
        Span<byte> text = stackalloc byte[(3 * Math.Min(source.Length, 200)) + 40];
        if (source.Length > 200 || single.Headers is not null)
            return Encoding.UTF8.GetBytes(single.Id);
        var length = Encoding.UTF8.GetBytes(source, text);
        text[length++] = (byte)':';
        length += WriteLsn(text[length..], single.Version.CommitLsn);
        text[length++] = (byte)':';
        length += WriteNumber(text[length..], single.Version.Ordinal);
        return text[..length].ToArray();
    }

    /// <summary>The change's version, <c>commit LSN/ordinal</c>.</summary>
    public static byte[] VersionOf(SinkEvent single)
    {
        Span<byte> text = stackalloc byte[40];
        var length = WriteLsn(text, single.Version.CommitLsn);
        text[length++] = (byte)'/';
        length += WriteNumber(text[length..], single.Version.Ordinal);
        return text[..length].ToArray();
    }

    /// <summary>Why the event is sent (<see cref="EventOrigin"/>), in lower case.</summary>
    public static string OriginOf(EventOrigin origin) => origin switch
    {
        EventOrigin.Stream => "stream",
        EventOrigin.Backfill => "backfill",
        EventOrigin.Replay => "replay",
        EventOrigin.Redelivery => "redelivery",
        _ => throw new ArgumentOutOfRangeException(nameof(origin), origin, "Unknown origin of an event."),
    };

    /// <summary>The number of the table schema.</summary>
    public static string SchemaOf(int version) => version.ToString(CultureInfo.InvariantCulture);

    private static int WriteLsn(Span<byte> text, Lsn lsn)
    {
        ((uint)(lsn.Value >> 32)).TryFormat(text, out var high, "X", CultureInfo.InvariantCulture);
        text[high] = (byte)'/';
        ((uint)lsn.Value).TryFormat(text[(high + 1)..], out var low, "X", CultureInfo.InvariantCulture);
        return high + 1 + low;
    }

    private static int WriteNumber(Span<byte> text, long number)
    {
        Utf8Formatter.TryFormat(number, text, out var written);
        return written;
    }
}
