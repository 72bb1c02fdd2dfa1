using System.Globalization;
using System.Text.Json;

namespace CdcOrleans.Samples.TheWorldShop.Watching;

/// <summary>Shows once a second how a source is doing, as its gateway says: on a terminal in place, else line by line.</summary>
internal sealed class Watch(Uri gateway, string source)
{
    private readonly bool _inPlace = !Console.IsOutputRedirected && Environment.GetEnvironmentVariable("TERM") is not (null or "dumb");

    public async Task Run(TimeSpan? duration, CancellationToken cancellation)
    {
        using var http = new HttpClient { BaseAddress = gateway, Timeout = TimeSpan.FromSeconds(5) };
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1));
        var start = TimeProvider.System.GetTimestamp();
        try
        {
            do
            {
                Show(await Line(http, cancellation));
                await timer.WaitForNextTickAsync(cancellation);
            }
            while (duration is not { } end || TimeProvider.System.GetElapsedTime(start) < end);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // Told to stop.
        }

        if (_inPlace)
            Console.WriteLine();
    }

    private async Task<string> Line(HttpClient http, CancellationToken cancellation)
    {
        try
        {
            using var response = await http.GetAsync(new Uri($"api/v1/sources/{Uri.EscapeDataString(source)}", UriKind.Relative), cancellation);
            if (!response.IsSuccessStatusCode)
                return $"{source}: the gateway at {gateway} answers {(int)response.StatusCode}";
            using var status = JsonDocument.Parse(await response.Content.ReadAsStreamAsync(cancellation));
            return Describe(status.RootElement);
        }
        catch (Exception error) when (error is HttpRequestException or JsonException || (error is TaskCanceledException && !cancellation.IsCancellationRequested))
        {
            return $"{source}: no status from the gateway at {gateway} ({error.GetType().Name})";
        }
    }

    private string Describe(JsonElement status)
    {
        var reader = Part(status, "reader");
        var (lag, latency) = (Part(reader, "lag"), Part(reader, "latency"));
        var silos = Items(status, "silos");
        return string.Create(CultureInfo.InvariantCulture,
            $"{source} {Part(status, "state")}: {Number(reader, "changesPerSecond"),6:N0} changes/s  lag {Bytes(Number(lag, "bytes"))} {Number(lag, "seconds"):0.0} s  awake {silos.Sum(s => Number(s, "awakeEntities")):N0}  p50 {Number(latency, "p50"):0.0} ms p99 {Number(latency, "p99"):0.0} ms  finished {silos.Sum(s => Number(s, "finished")):N0}  delivered {Items(status, "sinks").Sum(s => Number(s, "delivered")):N0}");
    }

    private void Show(string line)
    {
        if (!_inPlace)
        {
            Console.WriteLine(line);
            return;
        }

        // A line longer than the terminal would wrap and could not be rewritten.
        var width = Math.Max(Console.WindowWidth - 1, 20);
        Console.Write("\r\u001b[K" + (line.Length > width ? line[..width] : line));
    }

    private static JsonElement Part(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var part) ? part : default;

    private static JsonElement[] Items(JsonElement element, string name) =>
        Part(element, name) is { ValueKind: JsonValueKind.Array } items ? [.. items.EnumerateArray()] : [];

    private static double Number(JsonElement element, string name) =>
        Part(element, name) is { ValueKind: JsonValueKind.Number } value ? value.GetDouble() : 0;

    private static string Bytes(double bytes) => bytes switch
    {
        < 1024 => $"{bytes:0} B",
        < 1024 * 1024 => $"{bytes / 1024:0.0} KiB",
        < 1024 * 1024 * 1024 => $"{bytes / (1024 * 1024):0.0} MiB",
        _ => $"{bytes / (1024 * 1024 * 1024):0.0} GiB",
    };
}
