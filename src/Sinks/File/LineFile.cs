using System.Buffers;
using System.Buffers.Text;
using System.Text.Json;
using CdcOrleans.Grains.Interfaces.Sinks;

namespace CdcOrleans.Sinks.File;

/// <summary>
/// One file of whole lines. Opening it cuts off a last line that a crash left unfinished. Lines are collected, appended with one
/// write, and can be taken back until they are kept.
/// </summary>
internal sealed class LineFile : IDisposable
{
    private readonly FileStream _stream;
    private readonly ArrayBufferWriter<byte> _lines = new();
    private long _kept;

    /// <exception cref="IOException">The file cannot be opened or repaired.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be written to.</exception>
    public LineFile(string path)
    {
        _stream = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read, bufferSize: 0);
        try
        {
            _kept = EndOfLastLine(_stream);
            _stream.SetLength(_kept);
            _stream.Position = _kept;
        }
        catch
        {
            _stream.Dispose();
            throw;
        }
    }

    /// <summary>Collects an event's line.</summary>
    public void Add(SinkEvent made)
    {
        Raw("{\"key\":"u8);
        Json(made.Key);
        Raw(",\"value\":"u8);
        Json(made.Value);
        Raw(",\"headers\":{\"cdc.id\":"u8);
        Text(made.Id);
        Raw(",\"cdc.version\":"u8);
        Text(made.Version.ToString());
        Raw(",\"cdc.origin\":"u8);
        Text(OriginName.Of(made.Origin));
        Raw(",\"cdc.schema\":\""u8);
        Utf8Formatter.TryFormat(made.SchemaVersion, _lines.GetSpan(16), out var written);
        _lines.Advance(written);
        Raw("\""u8);
        foreach (var (name, value) in made.Headers ?? [])
        {
            Raw(","u8);
            Text(name);
            Raw(":"u8);
            Json(value);
        }

        Raw("}}\n"u8);
    }

    /// <summary>Appends what was collected, with one write.</summary>
    public void Append()
    {
        _stream.Write(_lines.WrittenSpan);
        _lines.ResetWrittenCount();
    }

    /// <summary>Has the system put everything on disk.</summary>
    public void Sync() => _stream.Flush(flushToDisk: true);

    /// <summary>What was appended stays.</summary>
    public void Keep() => _kept = _stream.Position;

    /// <summary>What was collected or appended since <see cref="Keep"/> goes; a failure to do so is mended at the next opening.</summary>
    public void TakeBack()
    {
        _lines.ResetWrittenCount();
        try
        {
            _stream.SetLength(_kept);
            _stream.Position = _kept;
        }
        catch (IOException)
        {
            // The file was appended to in part and cannot be cut now. Its whole lines repeat events, with the same ids.
        }
    }

    public void Dispose() => _stream.Dispose();

    private static long EndOfLastLine(FileStream stream)
    {
        var block = new byte[4096];
        for (var end = stream.Length; end > 0;)
        {
            var start = Math.Max(0, end - block.Length);
            stream.Position = start;
            var count = (int)(end - start);
            stream.ReadExactly(block, 0, count);
            var newline = block.AsSpan(0, count).LastIndexOf((byte)'\n');
            if (newline >= 0)
                return start + newline + 1;
            end = start;
        }

        return 0;
    }

    private void Raw(ReadOnlySpan<byte> text) => _lines.Write(text);

    // Formats write JSON; whatever is not is carried as base64, so that the line stays one JSON object.
    private void Json(byte[]? value)
    {
        if (value is null)
            Raw("null"u8);
        else if (value.Length > 0 && value[0] is (byte)'{' or (byte)'[' or (byte)'"' && !value.AsSpan().Contains((byte)'\n'))
            Raw(value);
        else
            Text(Convert.ToBase64String(value));
    }

    private void Text(string value)
    {
        Raw("\""u8);
        Raw(JsonEncodedText.Encode(value).EncodedUtf8Bytes);
        Raw("\""u8);
    }
}
