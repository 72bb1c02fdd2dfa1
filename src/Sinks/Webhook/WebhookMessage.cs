using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Sinks.Formats;

namespace CdcOrleans.Sinks.Webhook;

/// <summary>
/// The content of a request. A single event is its value, or <c>null</c> for a tombstone, and its key and headers are HTTP headers. Several
/// are a JSON array of objects with <c>id</c>, <c>topic</c>, <c>key</c>, <c>value</c> and <c>headers</c>.
/// </summary>
/// <param name="Id">The content of <c>webhook-id</c>: the same for the same events, and another for others.</param>
/// <param name="ContentType">The content of <c>content-type</c>.</param>
/// <param name="Body">The body.</param>
/// <param name="Headers">Further headers.</param>
internal sealed record WebhookMessage(string Id, string ContentType, byte[] Body, IReadOnlyList<KeyValuePair<string, string>> Headers)
{
    private const string Json = "application/json";
    private const string FormatType = "content-type";

    private static readonly byte[] Null = "null"u8.ToArray();

    private static readonly SearchValues<char> Token = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");

    /// <summary>
    /// Returns the id of an event for receivers that tell repetitions by it: the event id, and for the further events of a change also the
    /// number of the event.
    /// </summary>
    public static string IdOf(SinkEvent single) => single.Part == 0 ? single.Id : string.Create(CultureInfo.InvariantCulture, $"{single.Id}:{single.Part}");

    /// <summary>Makes the content for one event.</summary>
    public static WebhookMessage Single(SinkEvent single)
    {
        var type = Json;
        var headers = new List<KeyValuePair<string, string>>(8)
        {
            new("cdc-id", single.Id),
            new("cdc-version", single.Version.ToString()),
            new("cdc-origin", EventHeaders.OriginOf(single.Origin)),
            new("cdc-schema", EventHeaders.SchemaOf(single.SchemaVersion)),
            new("cdc-topic", Text(Encoding.UTF8.GetBytes(single.Topic))),
        };
        if (single.Key is { } key)
            headers.Add(new("cdc-key", Text(key)));
        foreach (var (name, value) in single.Headers ?? [])
        {
            if (name == FormatType)
                type = Text(value);
            else
                headers.Add(new(NameOf(name), Text(value)));
        }

        return new WebhookMessage(IdOf(single), type, single.Value ?? Null, headers);
    }

    /// <summary>Makes the content for several events, or for one in the form of several.</summary>
    /// <exception cref="InvalidOperationException">The body would be larger than an array can be.</exception>
    public static WebhookMessage Batch(ReadOnlySpan<SinkEvent> events)
    {
        using var ids = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = JsonBuffer.Take();
        var next = (byte)'[';
        foreach (var single in events)
        {
            var id = Encoding.UTF8.GetBytes(IdOf(single));
            ids.AppendData(id);
            ids.AppendData("\n"u8);
            buffer.Raw(next);
            buffer.Raw("{\"id\":"u8);
            buffer.String(id);
            buffer.Raw(",\"topic\":"u8);
            buffer.String(single.Topic);
            buffer.Raw((byte)',');
            EventJson.Members(buffer, single);
            buffer.Raw((byte)'}');
            next = (byte)',';
        }

        buffer.Raw((byte)']');
        return new WebhookMessage($"batch:{Convert.ToHexStringLower(ids.GetHashAndReset().AsSpan(0, 16))}", Json, buffer.ToArray(), []);
    }

    // Servers drop names with a dot, and a header of an event must not replace one that has a meaning in HTTP.
    private static string NameOf(string name)
    {
        var own = name.StartsWith("cdc.", StringComparison.Ordinal) ? $"cdc-{name[4..]}" : $"cdc-header-{name}";
        return own.AsSpan().ContainsAnyExcept(Token) ? string.Concat(own.Select(c => Token.Contains(c) ? c : '-')) : own;
    }

    // ASCII as it is; everything else, and %, as %XX, so that decodeURIComponent and the like give the text.
    private static string Text(ReadOnlySpan<byte> utf8)
    {
        var text = new StringBuilder(utf8.Length + 16);
        foreach (var b in utf8)
        {
            // A space at an end would be lost.
            if (b is > (byte)' ' and < 0x7f and not (byte)'%' || (b == ' ' && text.Length > 0 && text.Length < utf8.Length - 1))
                text.Append((char)b);
            else
                text.Append('%').Append(b.ToString("X2", CultureInfo.InvariantCulture));
        }

        return text.ToString();
    }
}
