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

    internal string Describe(JsonElement status)
    {
        var silos = status.TryGetProperty("silos", out var all) && all.ValueKind == JsonValueKind.Object
            ? all.EnumerateObject().Select(s => s.Value).ToArray()
            : [];
        // Percentiles of several silos cannot be merged: the worst stands for all.
        var p50 = silos.Select(s => Number(s, "latencyP50")).DefaultIfEmpty().Max();
        var p99 = silos.Select(s => Number(s, "latencyP99")).DefaultIfEmpty().Max();
        var delivered = silos.SelectMany(s => s.TryGetProperty("sinks", out var sinks) && sinks.ValueKind == JsonValueKind.Array ? sinks.EnumerateArray().ToArray() : [])
            .Sum(sink => Number(sink, "delivered"));
        var state = status.TryGetProperty("state", out var word) ? word.ToString() : "?";
        return string.Create(CultureInfo.InvariantCulture,
            $"{source} {state}: {Number(status, "changesPerSecond"),7:N0} changes/s  lag {Bytes(Number(status, "lagBytes"))} {Number(status, "lagSeconds"):0.0} s  entities {silos.Sum(s => Number(s, "liveEntities")):N0}  p50 {p50:0.0} ms p99 {p99:0.0} ms  finished {silos.Sum(s => Number(s, "finished")):N0}  delivered {delivered:N0}");
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

    private static double Number(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number ? value.GetDouble() : 0;

    private static string Bytes(double bytes) => bytes switch
    {
        < 1024 => $"{bytes:0} B",
        < 1024 * 1024 => $"{bytes / 1024:0.0} KiB",
        < 1024 * 1024 * 1024 => $"{bytes / (1024 * 1024):0.0} MiB",
        _ => $"{bytes / (1024 * 1024 * 1024):0.0} GiB",
    };
}
