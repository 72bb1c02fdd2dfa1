using System.Text;
using System.Text.Json;

namespace CdcOrleans.Samples.TheWorldShop.Verification;

/// <summary>Reads a source's events from the files of a <c>file</c> sink, one file a topic.</summary>
internal sealed class FileEvents(string directory, string source) : IDeliveredEvents
{
    private const string Suffix = ".ndjson";
    private readonly Dictionary<string, long> _read = [];

    public IEnumerable<DeliveredEvent> ReadNew()
    {
        if (!Directory.Exists(directory))
            yield break;
        foreach (var file in Directory.GetFiles(directory, source + ".*" + Suffix).Order(StringComparer.Ordinal))
        {
            var topic = Path.GetFileName(file)[..^Suffix.Length];
            foreach (var line in NewLines(file))
                yield return Parse(topic, line, file);
        }
    }

    public void Dispose()
    {
        // Nothing stays open between calls.
    }

    private IEnumerable<string> NewLines(string file)
    {
        using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        var position = _read.GetValueOrDefault(file);
        stream.Position = position;
        var block = new byte[1 << 16];
        using var line = new MemoryStream();
        int count;
        while ((count = stream.Read(block)) > 0)
        {
            var rest = block.AsMemory(0, count);
            int end;
            while ((end = rest.Span.IndexOf((byte)'\n')) >= 0)
            {
                line.Write(rest.Span[..end]);
                position += line.Length + 1;
                var text = Encoding.UTF8.GetString(line.GetBuffer(), 0, (int)line.Length);
                line.SetLength(0);
                rest = rest[(end + 1)..];
                yield return text;
            }

            line.Write(rest.Span);
        }

        // What follows the last line end is a line being written: it is read again next time.
        _read[file] = position;
    }

    private static DeliveredEvent Parse(string topic, string line, string file)
    {
        try
        {
            using var json = JsonDocument.Parse(line);
            var root = json.RootElement;
            var headers = root.GetProperty("headers");
            return new DeliveredEvent(topic, Text(root.GetProperty("key")), Text(root.GetProperty("value")), Header(headers, "cdc.id"), Header(headers, "cdc.version"));
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new UserException($"{file} holds a line that is not an event {{\"key\":…,\"value\":…,\"headers\":{{…}}}}.");
        }
    }

    private static string? Text(JsonElement element) => element.ValueKind == JsonValueKind.Null ? null : element.GetRawText();

    private static string? Header(JsonElement headers, string name) =>
        headers.TryGetProperty(name, out var value) ? value.ToString() : null;
}
