using System.Net.Http.Json;
using System.Text.Json;
using CdcOrleans.Bench.EndToEnd.Measuring;
using CdcOrleans.Bench.EndToEnd.Servers;
using CdcOrleans.Bench.EndToEnd.Workloads;

namespace CdcOrleans.Bench.EndToEnd.Consumers;

/// <summary>
/// CdcOrleans: one silo with its gateway as a process of its own. Between turns the process is frozen and its walsender ended, so that it keeps
/// its entities and its compiled code, but reads nothing ahead.
/// </summary>
internal sealed class Product(DatabaseServer server, Broker broker, Topics topics, string program, string commit, string? activation, string folder, Table? backfilled = null)
    : TopicConsumer(topics, SourceOf(backfilled))
{
    private string Source => SourceOf(backfilled);

    private string Slot => $"{Source}_product";

    private string Control => backfilled is null ? DatabaseServer.ControlDatabase : $"{DatabaseServer.ControlDatabase}_{backfilled.Name}";

    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(10) };
    private ChildProcess? _process;
    private Uri? _gateway;

    public override string Name => "CdcOrleans";

    public override string Version => $"CdcOrleans {commit}";

    public override IReadOnlyList<int> Pids => [Process.Pid];

    private ChildProcess Process => _process ?? throw new InvalidOperationException("Prepare comes first.");

    public override async Task Prepare(CancellationToken cancel)
    {
        if (!File.Exists(program))
            throw new BenchmarkException($"No silo at {program}. Build it (dotnet build -c Release src/Silo), name it with --product, or leave it out with --only.");
        Directory.CreateDirectory(folder);
        if (backfilled is not null)
            await server.Execute("postgres", $"CREATE DATABASE {Control}", cancel);
        await Launch(cancel);
    }

    public override async Task Pause(CancellationToken cancel)
    {
        // Otherwise the next walsender would begin with what was drained already.
        if (Drained is { } drained && !await server.AwaitConfirmed(Slot, drained.EndLsn, TimeSpan.FromSeconds(20), cancel))
            await Console.Error.WriteLineAsync($"{Name} has not confirmed the last drain after 20 s; going on.");
        Process.Freeze();
        await server.ReleaseSlot(Slot, cancel);
    }

    /// <summary>It finds its replication connection gone and opens another.</summary>
    public override Task Resume(CancellationToken cancel)
    {
        Process.Thaw();
        return Task.CompletedTask;
    }

    /// <summary>A new process: what it knew of rows is in the control database only.</summary>
    public override async Task Forget(CancellationToken cancel)
    {
        await Process.Stop(TimeSpan.FromSeconds(60));
        await Launch(cancel);
        await Pause(cancel);
    }

    /// <summary>Starts to read the rows of a table again. Returns the number of the backfill.</summary>
    public async Task<long> StartBackfill(string table, CancellationToken cancel)
    {
        using var answer = await _http.PostAsJsonAsync(new Uri(_gateway!, "api/v1/backfills"), new { source = Source, tables = new[] { $"public.{table}" } }, cancel);
        if (!answer.IsSuccessStatusCode)
            throw new BenchmarkException($"The backfill is refused: {await answer.Content.ReadAsStringAsync(cancel)}");
        return (await answer.Content.ReadFromJsonAsync<JsonElement>(cancel)).GetProperty("id").GetInt64();
    }

    /// <summary>Returns the state of a backfill, and how many rows it has read.</summary>
    public async Task<(string State, long Rows)> BackfillState(long id, CancellationToken cancel)
    {
        var backfill = await _http.GetFromJsonAsync<JsonElement>(new Uri(_gateway!, $"api/v1/backfills/{id}"), cancel);
        return (backfill.GetProperty("state").GetString()!, backfill.GetProperty("rowsDone").GetInt64());
    }

    /// <summary>Ends a backfill. One that is done already stays done.</summary>
    public async Task CancelBackfill(long id, CancellationToken cancel) =>
        (await _http.PostAsync(new Uri(_gateway!, $"api/v1/backfills/{id}/cancel"), null, cancel)).Dispose();

    public override void EnsureAlive() => Process.EnsureAlive();

    public override async ValueTask DisposeAsync()
    {
        if (_process is not null)
            await _process.DisposeAsync();
        _http.Dispose();
    }

    private async Task Launch(CancellationToken cancel)
    {
        _gateway = new Uri($"http://127.0.0.1:{DatabaseServer.FreePort()}/");
        var configuration = Path.Combine(folder, "cdc.yaml");
        await File.WriteAllTextAsync(configuration, Configuration(_gateway), cancel);
        string[] host = program.EndsWith(".dll", StringComparison.Ordinal) ? ["dotnet"] : [];
        var started = DateTime.UtcNow;
        _process = ChildProcess.Start(Name, Path.Combine(folder, "silo.log"), [.. host, program, "run", "--config", configuration]);
        Started = started;
        await AwaitReady(cancel);
    }

    private string Configuration(Uri gateway) =>
        $$"""
        cluster:
          id: {{Source}}
          silo_port: 0
          client_port: 0
        control:
          connection: {{server.Connection(Control)}}
        sources:
          {{Source}}:
            postgres:
              connection: {{server.Connection(DatabaseServer.SourceDatabase)}}
              slot: {{Slot}}
              publication: {{Slot}}
            tables:
        {{string.Join('\n', (backfilled is null ? Table.All : [backfilled]).Select(t => $"      - {Selection(t)}"))}}
            backfill: {{(backfilled is null ? "never" : "initial")}}
        sinks:
          events: { type: kafka, bootstrap: "{{broker.Bootstrap}}" }
        routes:
          - { from: "{{Source}}.public.*", to: [events], format: debezium }
        gateway:
          listen: {{gateway.GetLeftPart(UriPartial.Authority)}}

        """;

    private static string SourceOf(Table? backfilled) => backfilled?.Name ?? "bench";

    private string Selection(Table table) =>
        !table.Entities ? $"{{ table: public.{table.Name}, entities: off }}"
        : activation is null ? $"public.{table.Name}"
        : $"{{ table: public.{table.Name}, activation: {activation} }}";

    private async Task AwaitReady(CancellationToken cancel)
    {
        var last = "no answer";
        for (var deadline = DateTime.UtcNow.AddSeconds(90); DateTime.UtcNow < deadline; await Task.Delay(250, cancel))
        {
            Process.EnsureAlive();
            try
            {
                using var health = await _http.GetAsync(new Uri(_gateway!, "health/ready"), cancel);
                last = $"health {(int)health.StatusCode}";
                if (!health.IsSuccessStatusCode)
                    continue;
                var status = await _http.GetFromJsonAsync<JsonElement>(new Uri(_gateway!, $"api/v1/sources/{Source}"), cancel);
                last = status.ToString();
                if (string.Equals(status.GetProperty("state").ToString(), "streaming", StringComparison.OrdinalIgnoreCase))
                {
                    await server.AwaitSlot(Slot, active: true, cancel);
                    return;
                }
            }
            catch (Exception e) when (e is HttpRequestException or TaskCanceledException && !cancel.IsCancellationRequested)
            {
                // It is still starting.
            }
        }

        throw Process.Failure($"was not streaming within 90 s; it last said: {last}");
    }
}
