using System.Globalization;
using System.Text.Json;

namespace CdcOrleans.Samples.TheWorldShop.Watching;

/// <summary>Shows how far the backfills of a source are, as its gateway says: bars in place on a terminal, else a line for each step.</summary>
internal sealed class BackfillWatch(Uri gateway, string source)
{
    private const int BarWidth = 24;
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(200);

    private readonly bool _inPlace = !Console.IsOutputRedirected && Environment.GetEnvironmentVariable("TERM") is not (null or "dumb");
    private readonly Dictionary<string, string> _shown = [];
    private int _lines;

    /// <summary>Waits until all have ended. Returns whether there is one, and none failed or was cancelled; prints why not.</summary>
    public async Task<bool> Run(TimeSpan wait, CancellationToken cancellation)
    {
        using var http = new HttpClient { BaseAddress = gateway, Timeout = TimeSpan.FromSeconds(5) };
        var start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var backfills = await Read(http, cancellation);
            if (backfills is { Count: > 0 })
            {
                Show(backfills);
                if (backfills.TrueForAll(b => Text(b, "state") is not ("running" or "paused")))
                    return Conclude(backfills);
            }
            else if (TimeProvider.System.GetElapsedTime(start) > wait)
            {
                throw new UserException(backfills is null
                    ? $"The gateway at {gateway} does not answer: is the silo running?"
                    : $"No backfill of '{source}' began within {wait.TotalSeconds:0} s: does its cdc.yaml say 'backfill: initial'?");
            }

            await Task.Delay(Look, cancellation);
        }
    }

    // The oldest first; null when the gateway gives no answer.
    private async Task<List<JsonElement>?> Read(HttpClient http, CancellationToken cancellation)
    {
        try
        {
            using var response = await http.GetAsync(new Uri("api/v1/backfills", UriKind.Relative), cancellation);
            if (!response.IsSuccessStatusCode)
                return null;
            using var page = JsonDocument.Parse(await response.Content.ReadAsStreamAsync(cancellation));
            return [.. page.RootElement.GetProperty("backfills").EnumerateArray().Where(b => Text(b, "source") == source).Reverse().Select(b => b.Clone())];
        }
        catch (Exception error) when (error is HttpRequestException or JsonException || (error is TaskCanceledException && !cancellation.IsCancellationRequested))
        {
            return null;
        }
    }

    private void Show(List<JsonElement> backfills)
    {
        var lines = backfills.SelectMany(Lines).ToList();
        if (_inPlace)
        {
            // A line longer than the terminal would wrap and could not be rewritten.
            var width = Math.Max(Console.WindowWidth - 1, 20);
            Console.Write((_lines > 0 ? $"\u001b[{_lines}A" : "") + string.Concat(lines.Select(l => $"\r\u001b[K{(l.Text.Length > width ? l.Text[..width] : l.Text)}\n")));
            _lines = lines.Count;
            return;
        }

        foreach (var (name, text) in lines)
        {
            if (_shown.GetValueOrDefault(name) != text)
                Console.WriteLine(_shown[name] = text);
        }
    }

    private IEnumerable<(string Name, string Text)> Lines(JsonElement backfill)
    {
        var id = Text(backfill, "id");
        var tables = backfill.GetProperty("tables").EnumerateArray().ToList();
        var width = tables.Max(t => Text(t, "table").Length);
        foreach (var table in tables)
        {
            var (done, total) = (Number(table, "rowsDone"), Number(table, "rowsTotal"));
            var isDone = table.GetProperty("done").GetBoolean();
            // How many rows there are is an estimate.
            var percent = isDone ? 100 : total > 0 ? Math.Min(99, 100 * done / total) : 0;
            var bar = new string('█', (int)(BarWidth * percent / 100)).PadRight(BarWidth, '░');
            yield return (id + Text(table, "table"), string.Create(CultureInfo.InvariantCulture,
                $"  {Text(table, "table").PadRight(width)}  {(_inPlace ? bar + " " : "")}{percent,3} %  {done} of {(isDone ? done : Math.Max(done, total))} rows"));
        }

        var state = Text(backfill, "state");
        var rate = Number(backfill, "rowsPerSecond");
        // Of one that has ended, the mean.
        if (backfill.GetProperty("endedAt") is { ValueKind: JsonValueKind.String } end && end.GetDateTimeOffset() - backfill.GetProperty("createdAt").GetDateTimeOffset() is { TotalSeconds: > 0 } took)
            rate = (long)(Number(backfill, "rowsDone") / took.TotalSeconds);
        var note = state == "running" && Text(backfill, "waiting") is { Length: > 0 } waiting ? $", waits: {waiting.ReplaceLineEndings(" ")}" : "";
        yield return (id, string.Create(CultureInfo.InvariantCulture,
            $"  Backfill {id} is {state}: {Number(backfill, "rowsDone")} rows read, {Number(backfill, "sent")} sent, {rate} rows/s{note}"));
    }

    private static bool Conclude(List<JsonElement> backfills)
    {
        var failed = backfills.Where(b => Text(b, "state") != "done").ToList();
        foreach (var backfill in failed)
            Console.WriteLine($"  ! Backfill {Text(backfill, "id")} is {Text(backfill, "state")}: {Text(backfill, "error")}");
        return failed.Count == 0;
    }

    private static string Text(JsonElement item, string name) => item.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value.ToString() : "";

    private static long Number(JsonElement item, string name) =>
        item.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number ? (long)value.GetDouble() : 0;
}
