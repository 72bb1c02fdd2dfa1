using System.Globalization;

namespace CdcOrleans.Testing;

/// <content>A streaming standby of a server, and its promotion.</content>
public sealed partial class PostgresServer
{
    /// <summary>
    /// Makes a streaming standby: a copy of this server, which is stopped for a moment. The copy has no slots. Further settings win over ours.
    /// </summary>
    public async Task<PostgresServer> Standby(params string[] settings)
    {
        var data = Path.Combine(Path.GetTempPath(), $"cdc-pg-{Guid.NewGuid():N}");
        Directory.CreateDirectory(data);
        if (IsRoot)
            await Run("chown", ["postgres", data]);
        var standby = new PostgresServer(_bin, data, FreePort());
        await Stop();
        await RunAsOwner("/bin/cp", ["-a", Cluster, standby.Cluster]);
        await StartAgain();
        foreach (var slot in Directory.GetDirectories(Path.Combine(standby.Cluster, "pg_replslot")))
            Directory.Delete(slot, recursive: true);
        await RunAsOwner("/usr/bin/touch", [Path.Combine(standby.Cluster, "standby.signal")]);
        await standby.Set(
        [
            $"port={standby.Port.ToString(CultureInfo.InvariantCulture)}", $"unix_socket_directories='{data}'",
            $"primary_conninfo='host=127.0.0.1 port={Port.ToString(CultureInfo.InvariantCulture)} user=postgres dbname=postgres'", "hot_standby_feedback=on",
            .. settings,
        ]);
        await standby.StartAgain();
        return standby;
    }

    /// <summary>Ends the recovery of a standby; it is a primary then.</summary>
    public Task Promote() => RunAsOwner(Path.Combine(_bin, "pg_ctl"), ["-D", Cluster, "-w", "-t", "60", "promote"]);

    /// <summary>Restarts the server on the port of another one, which must be stopped: as an address that moves to a new primary.</summary>
    public async Task TakeAddress(PostgresServer former)
    {
        await Stop();
        Port = former.Port;
        await Set([$"port={Port.ToString(CultureInfo.InvariantCulture)}"]);
        await StartAgain();
    }

    /// <summary>Copies a slot of another server, as tools for failover do before PostgreSQL 17. Both must be stopped.</summary>
    public Task TakeSlot(PostgresServer former, string slot) =>
        RunAsOwner("/bin/cp", ["-a", Path.Combine(former.Cluster, "pg_replslot", slot), Path.Combine(Cluster, "pg_replslot", slot)]);

    private Task Set(string[] settings) => File.AppendAllLinesAsync(Path.Combine(Cluster, "postgresql.conf"), settings);
}
