using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using CdcOrleans.Testing;

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
        await Until(name, status => Tasks(status).Any(t => t == "RUNNING"));
    }

    /// <summary>Stops a connector; what it has written is kept, and where it was.</summary>
    public async Task Stop(string name)
    {
        await Put($"connectors/{name}/stop");
        await Until(name, status => !Tasks(status).Any());
    }

    /// <summary>Lets a stopped connector go on.</summary>
    public async Task Resume(string name)
    {
        await Put($"connectors/{name}/resume");
        await Until(name, status => Tasks(status).Any(t => t == "RUNNING"));
    }

    /// <summary>Whether the task of a connector has failed.</summary>
    public async Task<bool> HasFailed(string name) =>
        Tasks(await _http.GetFromJsonAsync<JsonElement>($"connectors/{name}/status")).Any(t => t == "FAILED");

    /// <summary>Ends a connector, where there is one of this name.</summary>
    public async Task Remove(string name)
    {
        using var answer = await _http.DeleteAsync(new Uri($"connectors/{name}", UriKind.Relative));
        if (answer.StatusCode != HttpStatusCode.NotFound)
            answer.EnsureSuccessStatusCode();
    }

    public async ValueTask DisposeAsync()
    {
        await Run("stop", "--signal", "KILL");
        _http.Dispose();
        Directory.Delete(_data, recursive: true);
    }

    private static IEnumerable<string?> Tasks(JsonElement status) =>
        status.GetProperty("tasks").EnumerateArray().Select(t => t.GetProperty("state").GetString());

    private async Task Put(string path)
    {
        using var answer = await _http.PutAsync(new Uri(path, UriKind.Relative), null);
        answer.EnsureSuccessStatusCode();
    }

    private async Task Until(string name, Func<JsonElement, bool> condition)
    {
        for (var deadline = DateTime.UtcNow.AddSeconds(60); ; await Task.Delay(100))
        {
            using var answer = await _http.GetAsync(new Uri($"connectors/{name}/status", UriKind.Relative));
            var status = answer.IsSuccessStatusCode ? await answer.Content.ReadFromJsonAsync<JsonElement>() : default;
            if (answer.IsSuccessStatusCode && condition(status))
                return;
            if (DateTime.UtcNow > deadline)
                throw new TimeoutException($"The connector was waited for 60 s: {status}");
        }
    }

    private Task<string> Run(string action, params string[] arguments) => TestServers.Run(_script, [action, "--data", _data, .. arguments]);
}
