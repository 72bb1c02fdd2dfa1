using System.Globalization;
using System.Text.Json;
using CdcOrleans.Model.Changes;
using CdcOrleans.Testing;

namespace CdcOrleans.Cluster;

/// <summary>A source database, a control database and a configuration in a folder of their own, for one test.</summary>
internal sealed class Pipeline : IAsyncDisposable
{
    private readonly string _folder = Path.Combine(Path.GetTempPath(), $"cdc-test-{Guid.NewGuid():N}");
    private readonly string _name = $"shop_{Guid.NewGuid():N}"[..20];

    private readonly PostgresServer _control;

    private Pipeline(PostgresServer server, PostgresServer control) => (Server, _control) = (server, control);

    public PostgresServer Server { get; }

    /// <summary>Connection string of the captured database.</summary>
    public string Database => Server.Connection(_name);

    /// <summary>Connection string of the control database.</summary>
    public string Control => _control.Connection(_name + "_control");

    public string Slot => $"cdc_{_name}";

    public string Out => Path.Combine(_folder, "out");

    public Uri Gateway { get; private set; } = null!;

    public string Config => Path.Combine(_folder, "cdc.yaml");

    /// <param name="server">The server of the captured database.</param>
    /// <param name="schema">Statements that create its tables.</param>
    /// <param name="sinks">The sinks; null for one of files.</param>
    /// <param name="source">More settings of the source.</param>
    /// <param name="control">The server of the control database; null for the same one.</param>
    /// <param name="routes">The routes; null for one to the sink <c>out</c>.</param>
    /// <param name="journal">The journals of the tables; null for none.</param>
    public static async Task<Pipeline> Create(
        PostgresServer server, string schema, string? sinks = null, string? source = null, PostgresServer? control = null, string? routes = null, string? journal = null)
    {
        var pipeline = new Pipeline(server, control ?? server);
        Directory.CreateDirectory(pipeline._folder);
        await server.CreateDatabase(pipeline._name);
        await PostgresServer.Execute(pipeline.Database, schema);
        await pipeline.Configure(pipeline.Config, sinks, source, routes, journal);
        return pipeline;
    }

    /// <summary>Writes a configuration; a second one for a second silo differs by its gateway's port.</summary>
    public async Task<Uri> Configure(string path, string? sinks = null, string? source = null, string? routes = null, string? journal = null)
    {
        var gateway = new Uri($"http://127.0.0.1:{PostgresServer.FreePort()}");
        await File.WriteAllTextAsync(path, $$"""
            cluster:
              id: {{_name.Replace('_', '-')}}
              silo_port: 0
              client_port: 0
            control:
              connection: {{Control}}
            sources:
              shop:
                postgres:
                  connection: {{Database}}
                  slot: {{Slot}}
                  publication: {{Slot}}
                tables: [{ table: "public.*", activation: {{TestActivation.Word}}{{(journal is null ? "" : $", journal: {journal}")}} }]
                heartbeat: 1s
            {{Indent(source, 4)}}
            sinks:
            {{Indent(sinks ?? "out: { type: file, directory: ./out }", 2)}}
            routes:
            {{Indent(routes ?? """- { from: "shop.public.*", to: out, format: debezium }""", 2)}}
            gateway:
              listen: {{gateway.ToString().TrimEnd('/')}}
            """);
        if (path == Config)
            Gateway = gateway;
        return gateway;
    }

    /// <summary>A path beside the configuration.</summary>
    public string PathOf(string name) => Path.Combine(_folder, name);

    public async Task<SiloProcess> Run(params KeyValuePair<string, string>[] environment)
    {
        var silo = SiloProcess.Launch(Gateway, environment, ["run", "--config", Config]);
        try
        {
            await silo.Ready();
            return silo;
        }
        catch
        {
            await silo.DisposeAsync();
            throw;
        }
    }

    /// <summary>Waits until everything that the source has committed is durable: the slot is confirmed up to the log's end as of now.</summary>
    public async Task Drained(SiloProcess silo, TimeSpan? patience = null)
    {
        var end = Lsn.Parse((await PostgresServer.Scalar(Database, "SELECT pg_current_wal_insert_lsn()::text"))!);
        await silo.Until(
            async () => Reader(await silo.Source("shop")).GetProperty("positions").GetProperty("confirmed").GetString() is { } confirmed
                && Lsn.Parse(confirmed) >= end,
            $"to confirm {end}",
            patience);
    }

    /// <summary>Executes a statement and waits as <see cref="Drained"/> does; returns the largest working set of the silo meanwhile, in bytes.</summary>
    public async Task<long> PeakOf(SiloProcess silo, string sql, TimeSpan patience)
    {
        await PostgresServer.Execute(Database, sql);
        var peak = 0L;
        var drained = Drained(silo, patience);
        while (!drained.IsCompleted)
        {
            peak = Math.Max(peak, silo.WorkingSet);
            await Task.WhenAny(drained, Task.Delay(50));
        }

        await drained;
        return peak;
    }

    /// <summary>The reader's part of a source's status.</summary>
    public static JsonElement Reader(JsonElement source) => source.GetProperty("reader");

    /// <summary>Everything the file sink wrote for a table, tombstones left out.</summary>
    /// <param name="table">The table.</param>
    /// <param name="folder">The sink's folder.</param>
    public IReadOnlyList<Delivered> Events(string table, string folder = "out")
    {
        var path = Path.Combine(PathOf(folder), $"shop.public.{table}.ndjson");
        if (!File.Exists(path))
            return [];
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var reader = new StreamReader(stream);
        var events = new List<Delivered>();
        while (reader.ReadLine() is { } line)
        {
            // The last line may still be being written.
            if (!line.EndsWith('}'))
                break;
            if (Delivered.Parse(line) is { } delivered)
                events.Add(delivered);
        }

        return events;
    }

    public async ValueTask DisposeAsync()
    {
        Directory.Delete(_folder, recursive: true);
        await PostgresServer.Execute(
            Server.Connection(),
            $"SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '{Slot}' AND active_pid IS NOT NULL");
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                await PostgresServer.Execute(
                    Server.Connection(), $"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{Slot}'");
                break;
            }
            catch (Npgsql.PostgresException inUse) when (inUse.SqlState == "55006" && attempt < 100)
            {
                await Task.Delay(50);
            }
        }

        await PostgresServer.Execute(Server.Connection(), $"DROP DATABASE IF EXISTS \"{_name}\" WITH (FORCE)");
        await PostgresServer.Execute(_control.Connection(), $"DROP DATABASE IF EXISTS \"{_name}_control\" WITH (FORCE)");
    }

    private static string Indent(string? text, int spaces) =>
        text is null ? "" : string.Join('\n', text.Split('\n').Select(l => new string(' ', spaces) + l));
}

/// <summary>One event as a consumer sees it.</summary>
/// <param name="Key">The key's JSON.</param>
/// <param name="Id">The event id.</param>
/// <param name="Version">The version.</param>
/// <param name="Op">The operation.</param>
/// <param name="After">The row after; undefined for deletes.</param>
internal sealed record Delivered(string Key, string Id, ChangeVersion Version, string Op, JsonElement After)
{
    public static Delivered? Parse(string line)
    {
        using var document = JsonDocument.Parse(line);
        var root = document.RootElement;
        var value = root.GetProperty("value");
        if (value.ValueKind == JsonValueKind.Null)
            return null;
        var headers = root.GetProperty("headers");
        return new Delivered(
            root.GetProperty("key").GetRawText(), headers.GetProperty("cdc.id").GetString()!,
            ChangeVersion.Parse(headers.GetProperty("cdc.version").GetString()!), value.GetProperty("op").GetString()!,
            value.GetProperty("after").Clone());
    }

    /// <summary>Asserts that per key versions never go back, and that what repeats repeats whole: equal ids only.</summary>
    /// <returns>How many events were repeats.</returns>
    public static int AssertOrder(IEnumerable<Delivered> events)
    {
        var duplicates = 0;
        foreach (var entity in events.GroupBy(e => e.Key))
        {
            var seen = new HashSet<string>();
            var newest = ChangeVersion.None;
            foreach (var delivered in entity)
            {
                if (!seen.Add(delivered.Id))
                {
                    duplicates++;
                    continue;
                }

                Xunit.Assert.True(
                    delivered.Version > newest, string.Create(CultureInfo.InvariantCulture, $"{entity.Key}: {delivered.Version} came after {newest}"));
                newest = delivered.Version;
            }
        }

        return duplicates;
    }
}
