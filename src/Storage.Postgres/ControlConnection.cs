using System.Data.Common;
using Npgsql;

namespace CdcOrleans.Storage.Postgres;

/// <summary>Parses the connection string of the control database, and describes it without secrets.</summary>
internal static class ControlConnection
{
    /// <summary>Most connections of the pool for questions (<see cref="ForQueries"/>).</summary>
    public const int MostQueries = 4;

    /// <summary>
    /// Most connections of one pool, unless the connection string says otherwise. A silo has two such pools, and the one for questions.
    /// </summary>
    private const int MostConnections = 20;

    /// <summary>Seconds that a question waits for a connection. The gateway gives up after five.</summary>
    private const int QueryPatience = 2;

    /// <summary>
    /// Settings that the server applies to our sessions. They end what a silo leaves behind whose host is gone or that does nothing, and no
    /// wait for a lock is without end. Settings in the connection string come later, so they win.
    /// </summary>
    private const string Bounds =
        "-c idle_in_transaction_session_timeout=10s -c lock_timeout=30s -c statement_timeout=5min "
        + "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3 -c tcp_user_timeout=15s";

    /// <summary>Parses a connection string and adds what is missing: the default database, an application name and the size of a pool.</summary>
    /// <exception cref="ControlDatabaseException">The text is not a connection string, or it names no server.</exception>
    public static NpgsqlConnectionStringBuilder Parse(string connection)
    {
        NpgsqlConnectionStringBuilder settings;
        try
        {
            settings = new NpgsqlConnectionStringBuilder(connection);
        }
        catch (Exception trouble) when (trouble is ArgumentException or FormatException or InvalidCastException or OverflowException)
        {
            // The driver's message could repeat a part of the password, so neither it nor the exception is passed on.
            throw new ControlDatabaseException(
                "The control database's connection string cannot be read. Remedy: write key=value pairs separated by ';', such as "
                + "Host=127.0.0.1;Database=cdc;Username=cdc, and put quotes around values that contain ';', '=' or quotes.");
        }

        if (string.IsNullOrEmpty(settings.Host))
            throw new ControlDatabaseException(
                "The control database's connection string names no server. Remedy: add Host=…, as in Host=127.0.0.1;Database=cdc;Username=cdc.");
        settings.Database ??= settings.Username ?? "cdc";
        settings.ApplicationName ??= "cdc";
        if (!new DbConnectionStringBuilder { ConnectionString = connection }.Keys.Cast<string>().Any(IsPoolSize))
            settings.MaxPoolSize = MostConnections;
        return settings;

        static bool IsPoolSize(string key) => key.Replace(" ", "", StringComparison.Ordinal).ToUpperInvariant() is "MAXIMUMPOOLSIZE" or "MAXPOOLSIZE";
    }

    /// <summary>Adds the time limits of sessions.</summary>
    public static NpgsqlConnectionStringBuilder Bounded(NpgsqlConnectionStringBuilder settings)
    {
        settings.Options = string.IsNullOrEmpty(settings.Options) ? Bounds : $"{Bounds} {settings.Options}";
        return settings;
    }

    /// <summary>
    /// Returns the connection string for questions of people and programs: a few connections of their own, so that many questions cannot
    /// take the connections of checkpoints, and a short wait for a free one.
    /// </summary>
    public static string ForQueries(string connection)
    {
        var settings = new NpgsqlConnectionStringBuilder(ForStore(connection)) { MaxPoolSize = MostQueries, Timeout = QueryPatience };
        settings.MinPoolSize = Math.Min(settings.MinPoolSize, MostQueries);
        return settings.ConnectionString;
    }

    /// <summary>
    /// Returns the connection string for checkpoints and schemas. Repeated statements are prepared, unless the connection string says
    /// otherwise.
    /// </summary>
    public static string ForStore(string connection)
    {
        var settings = Bounded(Parse(connection));
        var given = new DbConnectionStringBuilder { ConnectionString = connection };
        if (!given.ContainsKey("Max Auto Prepare") && !given.ContainsKey("MaxAutoPrepare"))
        {
            settings.MaxAutoPrepare = 32;
            settings.AutoPrepareMinUsages = 2;
        }

        return settings.ConnectionString;
    }

    /// <summary><c>host:port</c>.</summary>
    public static string Server(NpgsqlConnectionStringBuilder settings) =>
        settings.Host!.Contains(':', StringComparison.Ordinal) ? settings.Host : $"{settings.Host}:{settings.Port}";

    /// <summary>Describes server, database and user for messages.</summary>
    public static string Describe(NpgsqlConnectionStringBuilder settings) =>
        $"Control database \"{settings.Database}\" on {Server(settings)} (user \"{settings.Username}\")";
}
