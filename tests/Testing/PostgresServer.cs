using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Npgsql;

namespace CdcOrleans.Testing;

/// <summary>
/// A private PostgreSQL server on loopback with logical decoding on: own data folder, free port, user <c>postgres</c>, trust
/// authentication. The programs come from CDC_TEST_POSTGRES_BIN or from the newest /usr/lib/postgresql/*/bin.
/// </summary>
public sealed partial class PostgresServer : IAsyncDisposable
{
    private readonly string _bin;
    private readonly string _data;

    private PostgresServer(string bin, string data, int port)
    {
        _bin = bin;
        _data = data;
        Port = port;
    }

    public int Port { get; private set; }

    /// <summary>The folder of the server's programs.</summary>
    public string Programs => _bin;

    /// <summary>Initialises and starts a server; <paramref name="settings"/> are lines of postgresql.conf that win over ours.</summary>
    public static Task<PostgresServer> Start(params string[] settings) => StartWith(FindPrograms(), settings);

    /// <summary>The same, with the server programs in a folder.</summary>
    public static async Task<PostgresServer> StartWith(string bin, params string[] settings)
    {
        var data = Path.Combine(Path.GetTempPath(), $"cdc-pg-{Guid.NewGuid():N}");
        Directory.CreateDirectory(data);
        if (IsRoot)
            await Run("chown", ["postgres", data]);
        var server = new PostgresServer(bin, data, FreePort());
        await RunAsOwner(Path.Combine(bin, "initdb"), ["-D", server.Cluster, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C.UTF-8"]);
        await File.AppendAllLinesAsync(Path.Combine(server.Cluster, "postgresql.conf"),
        [
            $"port={server.Port.ToString(CultureInfo.InvariantCulture)}", "listen_addresses='127.0.0.1'", $"unix_socket_directories='{data}'",
            "wal_level=logical", "max_wal_senders=20", "max_replication_slots=20", "max_connections=100", "fsync=off", "timezone='UTC'",
            .. settings,
        ]);
        await server.StartAgain();
        return server;
    }

    private string Cluster => Path.Combine(_data, "cluster");

    private static bool IsRoot => Environment.UserName == "root";

    /// <summary>An Npgsql connection string for a database of this server.</summary>
    public string Connection(string database = "postgres", string user = "postgres") =>
        $"Host=127.0.0.1;Port={Port};Database={database};Username={user}";

    /// <summary>Creates a database and returns its connection string.</summary>
    public async Task<string> CreateDatabase(string name)
    {
        await Execute(Connection(), $"CREATE DATABASE \"{name}\"");
        return Connection(name);
    }

    /// <summary>Runs SQL, possibly several statements, outside an explicit transaction block.</summary>
    public static async Task Execute(string connection, string sql)
    {
        await using var open = new NpgsqlConnection(connection + ";Pooling=false");
        await open.OpenAsync();
        await using var command = new NpgsqlCommand(sql, open) { CommandTimeout = 300 };
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>The first column of the first row, as text; null when there is none.</summary>
    public static async Task<string?> Scalar(string connection, string sql)
    {
        await using var open = new NpgsqlConnection(connection + ";Pooling=false");
        await open.OpenAsync();
        await using var command = new NpgsqlCommand(sql, open) { CommandTimeout = 300 };
        return Convert.ToString(await command.ExecuteScalarAsync(), CultureInfo.InvariantCulture);
    }

    /// <summary>Stops the server: <c>fast</c>, <c>smart</c>, or <c>immediate</c> (a crash).</summary>
    public Task Stop(string mode = "fast") => RunAsOwner(Path.Combine(_bin, "pg_ctl"), ["-D", Cluster, "-m", mode, "-w", "-t", "60", "stop"]);

    /// <summary>Starts the server again on the same data and port.</summary>
    public Task StartAgain() =>
        RunAsOwner(Path.Combine(_bin, "pg_ctl"), ["-D", Cluster, "-l", Path.Combine(_data, "log"), "-w", "-t", "60", "start"]);

    /// <summary>The server's log so far.</summary>
    public string Log => File.Exists(Path.Combine(_data, "log")) ? File.ReadAllText(Path.Combine(_data, "log")) : "";

    public async ValueTask DisposeAsync()
    {
        try
        {
            await Stop("immediate");
        }
        catch (InvalidOperationException)
        {
            // It was stopped by the test.
        }

        Directory.Delete(_data, recursive: true);
    }

    /// <summary>
    /// A TCP port on loopback that nobody listens at now: below those that the system gives to outgoing connections, one of which could
    /// take it before who asked for it does.
    /// </summary>
    public static int FreePort()
    {
        while (true)
        {
            var port = Random.Shared.Next(10_000, 32_000);
            try
            {
                using var listener = new TcpListener(IPAddress.Loopback, port);
                listener.Start();
                return port;
            }
            catch (SocketException taken) when (taken.SocketErrorCode == SocketError.AddressAlreadyInUse)
            {
                // Another one, then.
            }
        }
    }

    private static string FindPrograms()
    {
        if (Environment.GetEnvironmentVariable("CDC_TEST_POSTGRES_BIN") is { Length: > 0 } named)
            return named;
        var root = "/usr/lib/postgresql";
        var newest = Directory.Exists(root)
            ? Directory.GetDirectories(root).Select(d => Path.Combine(d, "bin")).Where(d => File.Exists(Path.Combine(d, "initdb"))).Order().LastOrDefault()
            : null;
        return newest ?? throw new InvalidOperationException(
            "No PostgreSQL server programs found. Install the package 'postgresql' or set CDC_TEST_POSTGRES_BIN to a folder with initdb and pg_ctl.");
    }

    private static Task RunAsOwner(string program, string[] arguments) =>
        IsRoot
            ? Run("setpriv", ["--reuid", "postgres", "--regid", "postgres", "--clear-groups", program, .. arguments])
            : Run(program, arguments);

    private static async Task Run(string program, string[] arguments)
    {
        // The server inherits its streams from pg_ctl: keep them away from ours.
        var start = new ProcessStartInfo("/bin/sh") { WorkingDirectory = "/", ArgumentList = { "-c", "exec \"$@\" >/dev/null 2>&1 </dev/null", "sh", program } };
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        using var process = Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start.");
        await process.WaitForExitAsync();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{Path.GetFileName(program)} {string.Join(' ', arguments)} ended with code {process.ExitCode}.");
    }
}
