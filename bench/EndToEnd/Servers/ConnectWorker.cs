using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace CdcOrleans.Bench.EndToEnd.Servers;

/// <summary>One Kafka Connect worker (distributed mode, JSON converters without schemas) and its REST interface.</summary>
internal sealed class ConnectWorker : IAsyncDisposable
{
    private readonly ChildProcess _process;
    private readonly HttpClient _http;

    private ConnectWorker(ChildProcess process, Uri address)
    {
        _process = process;
        _http = new HttpClient { BaseAddress = address, Timeout = TimeSpan.FromSeconds(30) };
    }

    public int Pid => _process.Pid;

    public static async Task<ConnectWorker> Start(KafkaHome kafka, string bootstrap, string heap, string folder, CancellationToken cancel, string group = "bench-connect")
    {
        Directory.CreateDirectory(folder);
        var port = DatabaseServer.FreePort();
        var properties = Path.Combine(folder, "connect.properties");
        // The session outlives the time that the worker is frozen while others have their turn.
        await File.WriteAllTextAsync(properties,
            $"""
            bootstrap.servers={bootstrap}
            group.id={group}
            listeners=HTTP://127.0.0.1:{port}
            rest.advertised.host.name=127.0.0.1
            plugin.path={kafka.Plugins}
            plugin.discovery=hybrid_warn
            key.converter=org.apache.kafka.connect.json.JsonConverter
            key.converter.schemas.enable=false
            value.converter=org.apache.kafka.connect.json.JsonConverter
            value.converter.schemas.enable=false
            config.storage.topic={group}-configs
            offset.storage.topic={group}-offsets
            offset.storage.partitions=1
            status.storage.topic={group}-status
            status.storage.partitions=1
            config.storage.replication.factor=1
            offset.storage.replication.factor=1
            status.storage.replication.factor=1
            offset.flush.interval.ms=1000
            session.timeout.ms=1800000
            rebalance.timeout.ms=1800000
            """, cancel);
        var process = ChildProcess.Start("Kafka Connect", Path.Combine(folder, "connect.log"),
            kafka.Command(folder, heap, "org.apache.kafka.connect.cli.ConnectDistributed", properties));
        var worker = new ConnectWorker(process, new Uri($"http://127.0.0.1:{port}/"));
        try
        {
            await worker.AwaitReady(cancel);
        }
        catch
        {
            await worker.DisposeAsync();
            throw;
        }

        return worker;
    }

    public void EnsureAlive() => _process.EnsureAlive();

    public void Freeze() => _process.Freeze();

    public void Thaw() => _process.Thaw();

    public async Task<string> KafkaVersion(CancellationToken cancel) =>
        (await _http.GetFromJsonAsync<JsonElement>("", cancel)).GetProperty("version").GetString() ?? "unknown";

    public async Task<string> PluginVersion(string type, CancellationToken cancel)
    {
        var plugins = await _http.GetFromJsonAsync<JsonElement>("connector-plugins", cancel);
        foreach (var plugin in plugins.EnumerateArray())
        {
            if (plugin.GetProperty("class").GetString() == type)
                return plugin.GetProperty("version").GetString() ?? "unknown";
        }

        throw new BenchmarkException($"Kafka Connect has no connector {type}. Unpack Debezium's PostgreSQL connector into KAFKA_HOME/plugins or --connect-plugins.");
    }

    public Task Configure(string connector, Dictionary<string, string> settings, CancellationToken cancel) =>
        Repeat(() => _http.PutAsJsonAsync($"connectors/{connector}/config", settings, cancel), cancel);

    public async Task Stop(string connector, CancellationToken cancel)
    {
        await Repeat(() => _http.PutAsync(new Uri($"connectors/{connector}/stop", UriKind.Relative), null, cancel), cancel);
        await Await(connector, status => Connector(status) == "STOPPED" && Tasks(status).Length == 0, "stopped", cancel);
    }

    public async Task Resume(string connector, CancellationToken cancel)
    {
        await Repeat(() => _http.PutAsync(new Uri($"connectors/{connector}/resume", UriKind.Relative), null, cancel), cancel);
        await AwaitRunning(connector, cancel);
    }

    public Task AwaitRunning(string connector, CancellationToken cancel) =>
        Await(connector, status => Connector(status) == "RUNNING" && Tasks(status) is [.., "RUNNING"], "running", cancel);

    public async ValueTask DisposeAsync()
    {
        await _process.DisposeAsync();
        _http.Dispose();
    }

    private static string? Connector(JsonElement status) => status.GetProperty("connector").GetProperty("state").GetString();

    private static string?[] Tasks(JsonElement status) => [.. status.GetProperty("tasks").EnumerateArray().Select(t => t.GetProperty("state").GetString())];

    private async Task AwaitReady(CancellationToken cancel)
    {
        for (var deadline = DateTime.UtcNow.AddSeconds(300); ;)
        {
            _process.EnsureAlive();
            try
            {
                using var answer = await _http.GetAsync(new Uri("connectors", UriKind.Relative), cancel);
                if (answer.IsSuccessStatusCode)
                    return;
            }
            catch (HttpRequestException)
            {
                // It is still starting.
            }

            if (DateTime.UtcNow > deadline)
                throw _process.Failure("did not answer within 300 s");
            await Task.Delay(250, cancel);
        }
    }

    private async Task Await(string connector, Func<JsonElement, bool> reached, string state, CancellationToken cancel)
    {
        for (var deadline = DateTime.UtcNow.AddSeconds(60); ;)
        {
            _process.EnsureAlive();
            using var answer = await _http.GetAsync(new Uri($"connectors/{connector}/status", UriKind.Relative), cancel);
            var status = answer.IsSuccessStatusCode ? await answer.Content.ReadFromJsonAsync<JsonElement>(cancel) : default;
            if (answer.IsSuccessStatusCode && reached(status))
                return;
            if (DateTime.UtcNow > deadline)
                throw _process.Failure($"did not get connector {connector} {state} within 60 s; it reports: {status}");
            await Task.Delay(100, cancel);
        }
    }

    // The worker answers 409 while it rebalances, as it does after a start or a thaw.
    private async Task Repeat(Func<Task<HttpResponseMessage>> request, CancellationToken cancel)
    {
        for (var deadline = DateTime.UtcNow.AddSeconds(60); ;)
        {
            _process.EnsureAlive();
            using var answer = await request();
            if (answer.IsSuccessStatusCode)
                return;
            if (answer.StatusCode is not (HttpStatusCode.Conflict or HttpStatusCode.InternalServerError) || DateTime.UtcNow > deadline)
                throw _process.Failure($"refused a request: {(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync(cancel)}");
            await Task.Delay(250, cancel);
        }
    }
}
