using System.Text.Json;
using System.Text.Unicode;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Sinks.Formats;

namespace CdcOrleans.Sinks;

/// <summary>
/// Writes an event as members of a JSON object: <c>"key":…,"value":…,"headers":{…}</c>. Keys and values that are JSON are copied, and null
/// stands for none. Other keys and values are base64 in <c>key64</c> and <c>value64</c>. Headers are strings. A header that is not UTF-8
/// is base64, with <c>64</c> added to its name.
/// </summary>
internal static class EventJson
{
    public static void Members(JsonBuffer buffer, SinkEvent single)
    {
        WritePart(buffer, "\"key"u8, single.Key);
        buffer.Raw((byte)',');
        WritePart(buffer, "\"value"u8, single.Value);
        buffer.Raw(",\"headers\":{\"cdc.id\":"u8);
        buffer.String(EventHeaders.IdOf(single));
        buffer.Raw(",\"cdc.version\":"u8);
        buffer.String(EventHeaders.VersionOf(single));
        buffer.Raw(",\"cdc.origin\":"u8);
        buffer.String(EventHeaders.OriginOf(single.Origin));
        buffer.Raw(",\"cdc.schema\":\""u8);
        buffer.Number(single.SchemaVersion);
        buffer.Raw((byte)'"');
        foreach (var (name, value) in single.Headers ?? [])
        {
            var isText = Utf8.IsValid(value);
            buffer.Raw((byte)',');
            buffer.String(isText ? name : name + "64");
            buffer.Raw((byte)':');
            if (isText)
                buffer.String(value);
            else
                buffer.Base64(value);
        }

        buffer.Raw((byte)'}');
    }

    /// <summary>Whether bytes are one JSON value.</summary>
    public static bool IsJson(ReadOnlySpan<byte> bytes)
    {
        if (!Utf8.IsValid(bytes))
            return false;
        var reader = new Utf8JsonReader(bytes, new JsonReaderOptions { MaxDepth = 1000 });
        try
        {
            while (reader.Read())
            {
            }

            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static void WritePart(JsonBuffer buffer, ReadOnlySpan<byte> name, byte[]? bytes)
    {
        buffer.Raw(name);
        if (bytes is null)
        {
            buffer.Raw("\":null"u8);
        }
        else if (IsJson(bytes))
        {
            buffer.Raw("\":"u8);
            WriteOnOneLine(buffer, bytes);
        }
        else
        {
            buffer.Raw("64\":"u8);
            buffer.Base64(bytes);
        }
    }

    // In valid JSON, a line break can only be white space between tokens.
    private static void WriteOnOneLine(JsonBuffer buffer, ReadOnlySpan<byte> json)
    {
        while (json.IndexOfAny((byte)'\n', (byte)'\r') is >= 0 and var next)
        {
            buffer.Raw(json[..next]);
            buffer.Raw((byte)' ');
            json = json[(next + 1)..];
        }

        buffer.Raw(json);
    }
}
