using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;

namespace CdcOrleans.Conformance;

/// <summary>A real Debezium on Kafka Connect, started with the script <c>bin/connect</c> of the test servers.</summary>
internal sealed class ConnectPeer : IAsyncDisposable
{
    private const string Type = "io.debezium.connector.postgresql.PostgresConnector";

    private readonly string _script;
    private readonly string _data = Path.Combine(Path.GetTempPath(), $"cdc-connect-{Guid.NewGuid():N}");
    private readonly HttpClient _http = new();

    private ConnectPeer(string script) => _script = script;

    /// <summary>What it is, with versions.</summary>
    public string Version { get; private set; } = "";

    /// <summary>The script; null where there are no test servers.</summary>
    public static string? FindScript()
    {
        if (Environment.GetEnvironmentVariable("CDC_TEST_SERVERS") is { Length: > 0 } folder)
            return Path.Combine(folder, "bin", "connect");
        for (var above = new DirectoryInfo(AppContext.BaseDirectory); above is not null; above = above.Parent)
        {
            var script = Path.Combine(above.FullName, "shared", "servers", "bin", "connect");
            if (File.Exists(script))
                return script;
        }

        return null;
    }

    public static async Task<ConnectPeer> Start(string script, string bootstrap)
    {
        var peer = new ConnectPeer(script);
        peer._http.BaseAddress = new Uri(await peer.Run("start", "--bootstrap", bootstrap) + "/");
        var plugins = await peer._http.GetFromJsonAsync<JsonElement>("connector-plugins");
        var connector = plugins.EnumerateArray().First(p => p.GetProperty("class").GetString() == Type).GetProperty("version").GetString();
        var connect = (await peer._http.GetFromJsonAsync<JsonElement>("")).GetProperty("version").GetString();
        peer.Version = $"Debezium {connector} on Kafka Connect {connect}";
        return peer;
    }

    /// <summary>Runs a connector and returns when its task runs.</summary>
    public async Task Capture(string name, int port, string database, IReadOnlyDictionary<string, string> options)
    {
        var settings = new Dictionary<string, string>
        {
            ["connector.class"] = Type,
            ["plugin.name"] = "pgoutput",
            ["database.hostname"] = "127.0.0.1",
            ["database.port"] = port.ToString(System.Globalization.CultureInfo.InvariantCulture),
            ["database.user"] = "postgres",
            ["database.password"] = "none",
            ["database.dbname"] = database,
            ["topic.prefix"] = name,
            ["slot.name"] = $"their_{database}",
            ["publication.name"] = "theirs",
            ["publication.autocreate.mode"] = "disabled",
            ["snapshot.mode"] = "no_data",
        };
        foreach (var (option, value) in options)
            settings[option] = value;
        using (var answer = await _http.PutAsJsonAsync($"connectors/{name}/config", settings))
            answer.EnsureSuccessStatusCode();
        for (var deadline = DateTime.UtcNow.AddSeconds(60); ; await Task.Delay(100))
        {
            using var answer = await _http.GetAsync(new Uri($"connectors/{name}/status", UriKind.Relative));
            var status = answer.IsSuccessStatusCode ? await answer.Content.ReadFromJsonAsync<JsonElement>() : default;
            if (answer.IsSuccessStatusCode && status.GetProperty("tasks").EnumerateArray().Any(t => t.GetProperty("state").GetString() == "RUNNING"))
                return;
            if (DateTime.UtcNow > deadline)
                throw new TimeoutException($"The connector did not run within 60 s: {status}");
        }
    }

    public async Task Remove(string name)
    {
        using var answer = await _http.DeleteAsync(new Uri($"connectors/{name}", UriKind.Relative));
        answer.EnsureSuccessStatusCode();
    }

    public async ValueTask DisposeAsync()
    {
        await Run("stop", "--signal", "KILL");
        _http.Dispose();
        Directory.Delete(_data, recursive: true);
    }

    private async Task<string> Run(string action, params string[] arguments)
    {
        var start = new ProcessStartInfo("/bin/sh")
        {
            WorkingDirectory = "/",
            RedirectStandardOutput = true,
            ArgumentList = { "-c", "exec \"$@\" 2>/dev/null </dev/null", "sh", _script, action, "--data", _data },
        };
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        using var process = Process.Start(start) ?? throw new InvalidOperationException($"{_script} did not start.");
        var line = await process.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromMinutes(3));
        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromMinutes(3));
        return process.ExitCode == 0 ? line ?? "" : throw new InvalidOperationException($"{_script} {action} ended with code {process.ExitCode}.");
    }
}
