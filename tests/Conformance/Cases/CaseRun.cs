using System.Diagnostics;
using System.Net;
using CdcOrleans.Model.Changes;
using CdcOrleans.Testing;

namespace CdcOrleans.Conformance.Cases;

/// <summary>A case under way: its database, the silo that captures it into Kafka, and a real Debezium on the same publication where it can run.</summary>
internal sealed class CaseRun : IAsyncDisposable
{
    public const string Publication = "cdc_shop";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);

    private readonly Servers _servers;
    private readonly PostgresServer _postgres;
    private readonly string _name;
    private readonly string _folder = Directory.CreateTempSubdirectory("cdc-case-").FullName;
    private readonly Dictionary<string, string> _origins = [];
    private SiloProcess? _silo;
    private int _marks;

    private CaseRun(Servers servers, PostgresServer postgres, string database, string name)
    {
        _servers = servers;
        _postgres = postgres;
        _name = name;
        Database = database;
    }

    /// <summary>Name of the captured database.</summary>
    public string Database { get; }

    /// <summary>Connection string of the captured database.</summary>
    public string Connection => _postgres.Connection(Database);

    /// <summary>Connection string of the control database.</summary>
    public string Control => _postgres.Connection(_name + "_control");

    /// <summary>The source, and the prefix of our topics.</summary>
    public string Ours => $"ours-{_name}";

    /// <summary>The prefix of the topics of Debezium.</summary>
    public string Theirs => $"theirs-{_name}";

    public string Slot => $"our_{_name}";

    public SiloProcess Silo => _silo ?? throw new InvalidOperationException("The silo was not started.");

    /// <summary>Whether Debezium captures the same publication.</summary>
    public bool HasPeer { get; private set; }

    /// <summary>Whether the task of Debezium has ended with an error.</summary>
    public bool PeerHasFailed { get; private set; }

    /// <summary>Creates the run, and its database unless one is named.</summary>
    public static async Task<CaseRun> Create(Servers servers, string name, PostgresServer? server = null, string? database = null)
    {
        var unique = $"{name.Replace('-', '_')}_{Guid.NewGuid():N}"[..30];
        var run = new CaseRun(servers, server ?? servers.Postgres, database ?? unique, unique);
        if (database is null)
            await run._postgres.CreateDatabase(unique);
        return run;
    }

    public Task Execute(string sql) => PostgresServer.Execute(Connection, sql);

    /// <summary>Creates the table of the marks; then the source may be started.</summary>
    public Task Prepare() => Execute("CREATE TABLE public.finish (id int PRIMARY KEY)");

    /// <summary>Starts the silo and waits until it streams.</summary>
    public async Task Start(string tables = "public.*")
    {
        await Launch(tables);
        await Silo.Ready();
    }

    /// <summary>Starts the silo.</summary>
    public async Task Launch(string tables = "public.*")
    {
        var gateway = new Uri($"http://127.0.0.1:{PostgresServer.FreePort()}");
        var configuration = Path.Combine(_folder, "cdc.yaml");
        await File.WriteAllTextAsync(configuration, Configuration(gateway, tables));
        _silo = SiloProcess.Launch(gateway, "run", "--config", configuration);
    }

    /// <summary>Lets a real Debezium capture the same publication, where it can run.</summary>
    public async Task StartPeer()
    {
        if (_servers.Peer is not { } peer)
            return;
        await peer.Capture(Theirs, _postgres.Port, Database, new Dictionary<string, string>(Variant.Named("default").Settings) { ["publication.name"] = Publication });
        HasPeer = true;
    }

    /// <summary>Stops the silo as planned.</summary>
    public async Task Stop()
    {
        var code = await Silo.Stop();
        if (code != 0)
            throw new InvalidOperationException($"The silo ended with code {code}.\n{Silo.Output}");
        await Silo.DisposeAsync();
        _silo = null;
    }

    /// <summary>Waits until both have sent the events of everything that was committed.</summary>
    public async Task Settle()
    {
        var mark = ++_marks;
        var committed = Lsn.Parse((await PostgresServer.Scalar(Connection, "SELECT pg_current_wal_insert_lsn()::text"))!);
        await Execute($"INSERT INTO public.finish VALUES ({mark})");
        await Silo.Until(async () => await Confirmed() > committed, $"to confirm {committed}", Patience);
        await RememberOrigins();

        // A mark is not published while its table is out of the publication.
        var watch = Stopwatch.StartNew();
        while (HasPeer && !PeerHasFailed && !await Topics.HasMark(_servers.Kafka.Bootstrap, Theirs, mark))
        {
            if (await _servers.Peer!.HasFailed(Theirs))
                PeerHasFailed = true;
            else if (watch.Elapsed > Patience)
                throw new TimeoutException($"Debezium was waited for mark {mark} for {Patience.TotalSeconds:0} s.");
            await Task.Delay(Pause);
        }
    }

    /// <summary>Plays a block of a script.</summary>
    public async Task Play(string block)
    {
        const string restart = "-- tables ", notHeld = "-- not-held ", noticed = "-- noticed ";
        if (block == "-- settle")
            await Settle();
        else if (block.StartsWith(noticed, StringComparison.Ordinal))
            await Noticed(block[noticed.Length..].Split(", "));
        else if (block.StartsWith(restart, StringComparison.Ordinal))
            await Restart(block[restart.Length..]);
        else if (block.StartsWith(notHeld, StringComparison.Ordinal))
            await NotHeld(block[notHeld.Length..]);
        else
            await Execute(block);
    }

    // The source keeps in the control database what it has seen, after some seconds in which the tables did not change.
    private async Task Noticed(string[] tables)
    {
        foreach (var table in tables)
        {
            await Silo.Until(
                async () => (await Origin(table)) is { } now && now != _origins.GetValueOrDefault(table), $"to notice that rows of {table} may have changed", Patience);
            _origins[table] = (await Origin(table))!;
        }
    }

    private async Task<string?> Origin(string table) => await PostgresServer.Scalar(
        Control, $"SELECT files || publication FROM cdc.origins WHERE relation_oid = {await PostgresServer.Scalar(Connection, $"SELECT '{table}'::regclass::oid")}");

    /// <summary>Restarts the silo as planned, with other tables.</summary>
    public async Task Restart(string tables)
    {
        await Settle();
        await Stop();
        await Start(tables);
    }

    /// <summary>Checks that the API does not hold a table.</summary>
    /// <param name="entity">The table and a key, with a space between them.</param>
    public async Task NotHeld(string entity)
    {
        var (status, body) = await Silo.Get($"api/v1/entities/{Ours}/{entity.Replace(' ', '/')}");
        Xunit.Assert.Equal(HttpStatusCode.NotFound, status);
        Xunit.Assert.Equal("urn:cdcorleans:problem:table-not-held", body.GetProperty("type").GetString());
    }

    /// <summary>Our events.</summary>
    public Task<IReadOnlyList<TopicRecord>> Events() => Topics.Read(_servers.Kafka.Bootstrap, Ours);

    /// <summary>What is wrong with the outcome; events that became dead letters are.</summary>
    public async Task<IReadOnlyList<string>> Wrong(IReadOnlyList<ExpectedTable> expected)
    {
        var theirs = HasPeer ? await Topics.Read(_servers.Kafka.Bootstrap, Theirs) : null;
        var wrong = await Verdict.Of(expected, await Events(), theirs, Silo, Ours);
        var dead = await PostgresServer.Scalar(Control, "SELECT string_agg(table_name || ' ' || entity_key || ': ' || error, '; ') FROM cdc.dead_letters");
        return dead is null or "" ? wrong : [.. wrong, $"dead letters: {dead}"];
    }

    /// <summary>Fails with everything that helps to find the cause, unless the outcome is right.</summary>
    public async Task Check(IReadOnlyList<ExpectedTable> expected)
    {
        var wrong = await Wrong(expected);
        if (wrong.Count > 0)
            Xunit.Assert.Fail($"{wrong.Count} differences.\n{string.Join('\n', wrong)}\n{Silo.Output}");
    }

    /// <summary>Runs a file with psql in the captured database; <paramref name="database"/> for another one to begin in.</summary>
    public async Task Psql(string file, string? database = null)
    {
        var program = Path.Combine(_postgres.Programs, "psql");
        var start = new ProcessStartInfo(program)
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
            ArgumentList =
            {
                "-X", "-q", "-h", "127.0.0.1", "-p", _postgres.Port.ToString(System.Globalization.CultureInfo.InvariantCulture), "-U", "postgres",
                "-d", database ?? Database, "-v", "ON_ERROR_STOP=1", "-v", "settle=3", "-v", $"pub={Publication}", "-v", $"slot={Slot}", "-f", file,
            },
        };
        using var process = Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start.");
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"psql -f {file} ended with code {process.ExitCode}: {errors}{await output}");
    }

    public async ValueTask DisposeAsync()
    {
        if (_silo is not null)
            await _silo.DisposeAsync();
        if (HasPeer)
            await _servers.Peer!.Remove(Theirs);
        await DropSlots();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task RememberOrigins()
    {
        var tables = await PostgresServer.Scalar(Connection, "SELECT string_agg(format('%s.%s', relnamespace::regnamespace, relname), ',') FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')");
        foreach (var table in tables!.Split(','))
        {
            if (await Origin(table) is { } origin)
                _origins[table] = origin;
        }
    }

    private async Task<Lsn> Confirmed() =>
        Lsn.Parse((await Silo.Source(Ours)).GetProperty("reader").GetProperty("positions").GetProperty("confirmed").GetString()!);

    // A reader releases its slot a moment after it was ended.
    private async Task DropSlots()
    {
        var slots = $"pg_replication_slots WHERE database = '{Database}'";
        for (var deadline = DateTime.UtcNow.AddSeconds(20); DateTime.UtcNow < deadline; await Task.Delay(100))
        {
            await PostgresServer.Execute(_postgres.Connection(), $"SELECT pg_drop_replication_slot(slot_name) FROM {slots} AND NOT active");
            if (await PostgresServer.Scalar(_postgres.Connection(), $"SELECT count(*) FROM {slots}") == "0")
                return;
        }
    }

    private string Configuration(Uri gateway, string tables) => $$"""
        cluster: { id: {{Ours.Replace('_', '-')}}, silo_port: 0, client_port: 0 }
        control:
          connection: {{Control}}
        sources:
          {{Ours}}:
            postgres: { connection: "{{Connection}}", slot: {{Slot}}, publication: {{Publication}} }
            tables: [{{string.Join(", ", tables.Split(", ").Append("public.finish").Distinct().Select(t => $"{{ table: \"{t}\", entities: row, activation: {TestActivation.Word} }}"))}}]
            heartbeat: 1s
        sinks:
          out: { type: kafka, bootstrap: "{{_servers.Kafka.Bootstrap}}" }
        routes:
          - { from: "{{Ours}}.*", to: out, format: debezium }
        gateway: { listen: "{{gateway.ToString().TrimEnd('/')}}" }
        """;
}
