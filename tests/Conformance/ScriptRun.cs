using System.Globalization;
using System.Text;
using CdcOrleans.Model.Changes;
using CdcOrleans.Testing;
using Npgsql;

namespace CdcOrleans.Conformance;

/// <summary>A script under way: its database, and the peers that follow it.</summary>
internal sealed class ScriptRun : IAsyncDisposable
{
    private readonly Servers _servers;
    private readonly Variant _variant;
    private readonly string _database;
    private readonly string _connection;
    private readonly string _folder = Directory.CreateTempSubdirectory("cdc-conformance-").FullName;
    private readonly Dictionary<string, NpgsqlConnection> _sessions = [];
    private SiloProcess? _silo;
    private readonly Existing _existing;
    private int _marks;

    private ScriptRun(Servers servers, Variant variant, string database)
    {
        _servers = servers;
        _variant = variant;
        _database = database;
        _connection = servers.Postgres.Connection(database);
        _existing = new Existing(_connection);
    }

    /// <summary>Prefix of our topics.</summary>
    public string Ours => $"ours-{_database}";

    /// <summary>Prefix of the peer's topics.</summary>
    public string Theirs => $"theirs-{_database}";

    /// <summary>Prepares a database and starts both peers on it.</summary>
    public static async Task<ScriptRun> Begin(Servers servers, Script script, Variant variant)
    {
        var run = new ScriptRun(servers, variant, $"{script.Name.Replace('-', '_')}_{Guid.NewGuid():N}"[..30]);
        try
        {
            await servers.Postgres.CreateDatabase(run._database);
            foreach (var block in script.Prepare)
                await PostgresServer.Execute(run._connection, block);
            await PostgresServer.Execute(run._connection, "CREATE TABLE public.finish (id int PRIMARY KEY)");
            if (variant.Reads == Reading.Incremental)
                await run._existing.Prepare();
            await PostgresServer.Execute(run._connection, $"CREATE PUBLICATION theirs FOR ALL TABLES WITH (publish_via_partition_root = {variant.ViaPartitionRoot})");
            await Task.WhenAll(
                run.StartOurs(),
                servers.Peer?.Capture(run.Theirs, servers.Postgres.Port, run._database, variant.Settings) ?? Task.CompletedTask);
            return run;
        }
        catch
        {
            await run.DisposeAsync();
            throw;
        }
    }

    /// <summary>Does what a block of the script asks for.</summary>
    public async Task Play(Step step)
    {
        switch (step.Kind)
        {
            case StepKind.Settle:
                await Settle();
                break;
            case StepKind.Stop:
                // A peer that is stopped while it works may send events again. How often it does is not compared here.
                await Settle();
                await Task.WhenAll(StopOurs(), _servers.Peer?.Stop(Theirs) ?? Task.CompletedTask);
                break;
            case StepKind.Start:
                await Task.WhenAll(StartOurs(), _servers.Peer?.Resume(Theirs) ?? Task.CompletedTask);
                break;
            case StepKind.Sql when step.Session is { } name:
                await InSession(name, step.Sql);
                break;
            default:
                await PostgresServer.Execute(_connection, step.Sql);
                break;
        }
    }

    /// <summary>Waits until both peers have read the rows that existed before, if they do.</summary>
    public async Task ReadExisting()
    {
        if (_variant.Reads == Reading.None)
            return;
        if (_variant.Reads == Reading.Incremental)
            await _existing.Read(_silo!.Gateway, Ours, _servers.Peer is not null);
        await _silo!.Until(() => Existing.IsDone(_silo), "to read the rows", TimeSpan.FromSeconds(90));
        if (_servers.Peer is not null)
            await Topics.HasRead(_servers.Kafka.Bootstrap, Theirs, await _existing.Rows(_variant.Reads));
    }

    /// <summary>Waits until both peers have sent the events of everything that was committed.</summary>
    public async Task Settle()
    {
        var committed = Lsn.Parse((await PostgresServer.Scalar(_connection, "SELECT pg_current_wal_insert_lsn()::text"))!);
        await PostgresServer.Execute(_connection, $"INSERT INTO public.finish VALUES ({++_marks})");
        await _silo!.Until(async () => await Confirmed() > committed, $"to confirm {committed}", TimeSpan.FromSeconds(90));
        if (_servers.Peer is not null)
            await Topics.Marked(_servers.Kafka.Bootstrap, Theirs, _marks);
    }

    /// <summary>Topics of the tables that have REPLICA IDENTITY FULL now.</summary>
    public async Task<IReadOnlySet<string>> Whole()
    {
        await using var connection = new NpgsqlConnection(_connection);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(
            "SELECT coalesce(array_agg(relnamespace::regnamespace::text || '.' || relname), '{}') FROM pg_class WHERE relreplident = 'f'", connection);
        return ((string[])(await command.ExecuteScalarAsync())!).ToHashSet();
    }

    /// <summary>Returns what helps to find the cause of a difference: where our records are, the source's status, the output of the silo.</summary>
    public async Task<string> Account(IReadOnlyList<TopicRecord> written)
    {
        var account = new StringBuilder();
        foreach (var record in written)
            account.AppendLine(CultureInfo.InvariantCulture, $"{record.Topic} {record.Place} {record.Key} {record.Value?["op"]} {record.Value?["source"]?["lsn"]}");
        return account.AppendLine((await _silo!.Source(Ours)).GetRawText()).AppendLine(_silo.Output).ToString();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var session in _sessions.Values)
            await session.DisposeAsync();
        if (_silo is not null)
            await _silo.DisposeAsync();
        if (_servers.Peer is { } peer)
            await peer.Remove(Theirs);
        await DropSlots();
        Directory.Delete(_folder, recursive: true);
    }

    // Slots that nobody reads any more must not keep the log for later runs. A reader releases its slot a moment after it was ended.
    private async Task DropSlots()
    {
        var slots = $"pg_replication_slots WHERE database = '{_database}'";
        for (var deadline = DateTime.UtcNow.AddSeconds(20); DateTime.UtcNow < deadline; await Task.Delay(100))
        {
            await PostgresServer.Execute(_servers.Postgres.Connection(), $"SELECT pg_drop_replication_slot(slot_name) FROM {slots} AND NOT active");
            if (await PostgresServer.Scalar(_servers.Postgres.Connection(), $"SELECT count(*) FROM {slots}") == "0")
                return;
        }
    }

    private async Task StartOurs()
    {
        var gateway = new Uri($"http://127.0.0.1:{PostgresServer.FreePort()}");
        var configuration = Path.Combine(_folder, "cdc.yaml");
        await File.WriteAllTextAsync(configuration, Configuration(gateway));
        _silo = SiloProcess.Launch(gateway, "run", "--config", configuration);
        await _silo.Ready();
    }

    private async Task StopOurs()
    {
        await _silo!.Stop();
        await _silo.DisposeAsync();
        _silo = null;
    }

    // What is confirmed was delivered, or is a dead letter.
    private async Task<Lsn> Confirmed() =>
        Lsn.Parse((await _silo!.Source(Ours)).GetProperty("reader").GetProperty("positions").GetProperty("confirmed").GetString()!);

    private async Task InSession(string name, string sql)
    {
        if (!_sessions.TryGetValue(name, out var session))
        {
            _sessions[name] = session = new NpgsqlConnection(_connection + ";Pooling=false");
            await session.OpenAsync();
        }

        await using var command = new NpgsqlCommand(sql, session);
        await command.ExecuteNonQueryAsync();
    }

    private string Configuration(Uri gateway) => $$"""
        cluster: { id: {{Ours.Replace('_', '-')}}, silo_port: 0, client_port: 0 }
        control:
          connection: {{_servers.Postgres.Connection(_database + "_control")}}
        sources:
          {{Ours}}:
            postgres: { connection: "{{_connection}}", slot: our_{{_database}}, publication: ours, publish_via_partition_root: {{(_variant.ViaPartitionRoot ? "true" : "false")}} }
            tables: [{ table: "*.*", entities: {{(_variant.HasEntities ? "row" : "off")}}, activation: {{TestActivation.Word}} }, { table: public.finish, backfill: never }]
            backfill: {{(_variant.Reads == Reading.Initial ? "initial" : "never")}}
            heartbeat: {{_variant.Heartbeat}}
            values: {{_variant.Values}}
            events: {{_variant.Events}}
        sinks:
          out: { type: kafka, bootstrap: "{{_servers.Kafka.Bootstrap}}" }
        routes:
          - { from: "{{Ours}}.*", to: out, format: debezium }
        gateway: { listen: "{{gateway.ToString().TrimEnd('/')}}" }
        """;
}
