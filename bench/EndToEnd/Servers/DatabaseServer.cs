using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Npgsql;

namespace CdcOrleans.Bench.EndToEnd.Servers;

/// <summary>A private PostgreSQL server on loopback in a folder of its own, with the settings that docs/benchmarks.md names.</summary>
internal sealed class DatabaseServer : IAsyncDisposable
{
    public const string SourceDatabase = "bench";
    public const string ControlDatabase = "cdc";

    public static readonly string[] Settings =
    [
        "wal_level=logical", "max_wal_senders=10", "max_replication_slots=10", "max_connections=200", "wal_sender_timeout=0",
        "shared_buffers=1GB", "max_wal_size=32GB", "checkpoint_timeout=30min", "fsync=on", "timezone='UTC'",
    ];

    private readonly string _programs;
    private readonly string _folder;
    private readonly int _port;

    private DatabaseServer(string programs, string folder, int port)
    {
        _programs = programs;
        _folder = folder;
        _port = port;
    }

    public int Port => _port;

    /// <summary>Process id of the postmaster.</summary>
    public int Pid { get; private set; }

    public static async Task<DatabaseServer> Start(string folder, CancellationToken cancel)
    {
        var server = new DatabaseServer(FindPrograms(), folder, FreePort());
        Directory.CreateDirectory(folder);
        if (IsRoot)
            await ChildProcess.Run("chown", server.Log("setup"), ["chown", "postgres", folder], cancel);
        await server.RunProgram("initdb", ["-D", server.Cluster, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"], cancel);
        await File.AppendAllLinesAsync(Path.Combine(server.Cluster, "postgresql.conf"),
            ["listen_addresses='127.0.0.1'", $"port={server._port}", $"unix_socket_directories='{folder}'", .. Settings], cancel);
        await server.RunProgram("pg_ctl", ["-D", server.Cluster, "-l", Path.Combine(folder, "server.log"), "-w", "-t", "60", "start"], cancel);
        var lines = await File.ReadAllLinesAsync(Path.Combine(server.Cluster, "postmaster.pid"), cancel);
        server.Pid = int.Parse(lines[0], CultureInfo.InvariantCulture);
        await server.Execute("postgres", $"CREATE DATABASE {SourceDatabase}", cancel);
        await server.Execute("postgres", $"CREATE DATABASE {ControlDatabase}", cancel);
        return server;
    }

    public string Connection(string database) => $"Host=127.0.0.1;Port={_port};Database={database};Username=postgres";

    public string Program(string name) => Path.Combine(_programs, name);

    public Task Execute(string sql, CancellationToken cancel) => Execute(SourceDatabase, sql, cancel);

    public async Task Execute(string database, string sql, CancellationToken cancel)
    {
        await using var connection = new NpgsqlConnection(Connection(database) + ";Pooling=false");
        await connection.OpenAsync(cancel);
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        await command.ExecuteNonQueryAsync(cancel);
    }

    /// <summary>The first column of the first row as text; null when there is none.</summary>
    public async Task<string?> Scalar(string sql, CancellationToken cancel, params string[] parameters)
    {
        await using var connection = new NpgsqlConnection(Connection(SourceDatabase) + ";Pooling=false");
        await connection.OpenAsync(cancel);
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        foreach (var parameter in parameters)
            command.Parameters.Add(new NpgsqlParameter { Value = parameter });
        return Convert.ToString(await command.ExecuteScalarAsync(cancel), CultureInfo.InvariantCulture);
    }

    /// <summary>Ends the slot's walsender, if it has one, and waits until the slot is free.</summary>
    public async Task ReleaseSlot(string slot, CancellationToken cancel)
    {
        await Scalar(
            "SELECT count(pg_terminate_backend(active_pid)) FROM pg_replication_slots WHERE slot_name = $1 AND active_pid IS NOT NULL", cancel, slot);
        await AwaitSlot(slot, active: false, cancel);
    }

    public async Task AwaitSlot(string slot, bool active, CancellationToken cancel)
    {
        var deadline = DateTime.UtcNow.AddSeconds(60);
        while (await Scalar("SELECT active::text FROM pg_replication_slots WHERE slot_name = $1", cancel, slot) != (active ? "true" : "false"))
        {
            if (DateTime.UtcNow > deadline)
                throw new BenchmarkException($"Slot {slot} did not become {(active ? "active" : "free")} within 60 s.");
            await Task.Delay(100, cancel);
        }
    }

    /// <summary>Whether a slot's confirmed position reached a position within some time.</summary>
    public async Task<bool> AwaitConfirmed(string slot, string lsn, TimeSpan patience, CancellationToken cancel)
    {
        const string sql = "SELECT (confirmed_flush_lsn >= $2::text::pg_lsn)::text FROM pg_replication_slots WHERE slot_name = $1";
        for (var deadline = DateTime.UtcNow + patience; DateTime.UtcNow < deadline; await Task.Delay(100, cancel))
        {
            if (await Scalar(sql, cancel, slot, lsn) == "true")
                return true;
        }

        return false;
    }

    public async ValueTask DisposeAsync() =>
        await RunProgram("pg_ctl", ["-D", Cluster, "-m", "immediate", "-w", "-t", "60", "stop"], CancellationToken.None);

    /// <summary>A TCP port on loopback that nobody listens at now.</summary>
    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private string Cluster => Path.Combine(_folder, "cluster");

    private string Log(string name) => Path.Combine(Path.GetDirectoryName(_folder)!, name + ".log");

    private static bool IsRoot => Environment.UserName == "root";

    private Task RunProgram(string program, string[] arguments, CancellationToken cancel)
    {
        // The server refuses to run as root.
        string[] owner = IsRoot ? ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"] : [];
        return ChildProcess.Run(program, Log("setup"), [.. owner, Program(program), .. arguments], cancel);
    }

    private static string FindPrograms()
    {
        if (Environment.GetEnvironmentVariable("CDC_BENCH_POSTGRES_BIN") is { Length: > 0 } named)
            return named;
        const string root = "/usr/lib/postgresql";
        var newest = Directory.Exists(root)
            ? Directory.GetDirectories(root).Select(d => Path.Combine(d, "bin")).Where(d => File.Exists(Path.Combine(d, "initdb"))).Order().LastOrDefault()
            : null;
        return newest ?? throw new BenchmarkException(
            "No PostgreSQL server programs found. Install the package 'postgresql', or set CDC_BENCH_POSTGRES_BIN to a folder with initdb and pg_ctl.");
    }
}
