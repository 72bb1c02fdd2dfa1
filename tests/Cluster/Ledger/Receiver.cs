using System.Globalization;
using System.Net;
using System.Text.Json;
using CdcOrleans.Testing;

namespace CdcOrleans.Cluster.Ledger;

/// <summary>One event as a receiver got it.</summary>
/// <param name="Id">The row.</param>
/// <param name="N">The row's counter after the change.</param>
/// <param name="Commit">When the change was committed.</param>
/// <param name="Arrived">When the event came.</param>
internal readonly record struct Got(int Id, int N, DateTimeOffset Commit, DateTimeOffset Arrived);

/// <summary>A server that receives webhooks and keeps what it accepted. Its answers are what the test says.</summary>
internal sealed class Receiver : IAsyncDisposable
{
    public const string Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    private readonly HttpListener _listener = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private readonly List<Got> _got = [];
    private readonly Dictionary<int, int> _newest = [];
    private readonly Task _run;

    public Receiver()
    {
        Url = $"http://127.0.0.1:{PostgresServer.FreePort()}/hook/";
        _listener.Prefixes.Add(Url);
        _listener.Start();
        _run = Task.Run(Run);
    }

    public string Url { get; }

    /// <summary>Decides about the events of a request: the status. While the task is not complete, the receiver does not answer.</summary>
    public Func<IReadOnlyList<Got>, Task<int>> Answer { get; set; } = _ => Task.FromResult(200);

    public IReadOnlyList<Got> Events
    {
        get
        {
            lock (_gate)
                return [.. _got];
        }
    }

    /// <summary>The counter of the newest event of each row.</summary>
    public IReadOnlyDictionary<int, int> Newest
    {
        get
        {
            lock (_gate)
                return new Dictionary<int, int>(_newest);
        }
    }

    /// <summary>Whether it has an event of each row that is as new as the row.</summary>
    /// <param name="rows">The counter of each row.</param>
    public bool HasAll(IReadOnlyDictionary<int, int> rows)
    {
        lock (_gate)
            return rows.All(r => r.Value == 0 || _newest.GetValueOrDefault(r.Key) >= r.Value);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Close();
        await _run;
        _stop.Dispose();
    }

    private async Task Run()
    {
        while (!_stop.IsCancellationRequested)
        {
            HttpListenerContext context;
            try
            {
                context = await _listener.GetContextAsync();
            }
            catch (Exception closed) when (closed is HttpListenerException or ObjectDisposedException)
            {
                return;
            }

            _ = Task.Run(() => Handle(context));
        }
    }

    private async Task Handle(HttpListenerContext context)
    {
        try
        {
            using var body = await JsonDocument.ParseAsync(context.Request.InputStream, cancellationToken: _stop.Token);
            var now = DateTimeOffset.UtcNow;
            List<Got> events = [.. Values(body.RootElement).Select(value => Read(value, now))];
            var status = await Answer(events).WaitAsync(_stop.Token);
            if (status == 200)
            {
                lock (_gate)
                {
                    _got.AddRange(events);
                    foreach (var one in events)
                        _newest[one.Id] = Math.Max(one.N, _newest.GetValueOrDefault(one.Id));
                }
            }

            context.Response.StatusCode = status;
            context.Response.Close();
        }
        catch (Exception gone) when (gone is HttpListenerException or ObjectDisposedException or OperationCanceledException or IOException)
        {
            // The sender was killed, or gave up.
        }
    }

    private static IEnumerable<JsonElement> Values(JsonElement root) =>
        root.ValueKind == JsonValueKind.Array ? root.EnumerateArray().Select(e => e.GetProperty("value")) : [root];

    private static Got Read(JsonElement value, DateTimeOffset now)
    {
        var row = value.GetProperty("after");
        var micros = value.GetProperty("source").GetProperty("ts_us").GetInt64();
        return new Got(
            row.GetProperty("id").GetInt32(), row.GetProperty("n").GetInt32(), DateTimeOffset.UnixEpoch.AddTicks(micros * TimeSpan.TicksPerMicrosecond), now);
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Url}: {Events.Count} events");
}
