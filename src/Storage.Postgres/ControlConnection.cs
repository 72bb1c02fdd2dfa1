using System.Data.Common;
using Npgsql;

namespace CdcOrleans.Storage.Postgres;

/// <summary>Reads the control database's connection string and speaks of it without its secrets.</summary>
internal static class ControlConnection
{
    /// <summary>Reads a connection string and fills in what it leaves open: the default database and an application name.</summary>
    /// <exception cref="ControlDatabaseException">It is none, or names no server.</exception>
    public static NpgsqlConnectionStringBuilder Parse(string connection)
    {
        NpgsqlConnectionStringBuilder settings;
        try
        {
            settings = new NpgsqlConnectionStringBuilder(connection);
        }
        catch (Exception trouble) when (trouble is ArgumentException or FormatException or InvalidCastException or OverflowException)
        {
            // The driver's words could repeat a part of the password, so they stay out, and so does its exception.
            throw new ControlDatabaseException(
                "The control database's connection string cannot be read. Remedy: write key=value pairs separated by ';', such as "
                + "Host=127.0.0.1;Database=cdc;Username=cdc, and put values that hold ';', '=' or quotes into quotes.");
        }

        if (string.IsNullOrEmpty(settings.Host))
            throw new ControlDatabaseException(
                "The control database's connection string names no server. Remedy: add Host=…, as in Host=127.0.0.1;Database=cdc;Username=cdc.");
        settings.Database ??= settings.Username ?? "cdc";
        settings.ApplicationName ??= "cdc";
        return settings;
    }

    /// <summary>The connection string for checkpoints and schemas: statements that repeat are prepared unless it says otherwise.</summary>
    public static string ForStore(string connection)
    {
        var settings = Parse(connection);
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

    /// <summary>Server, database and user in words.</summary>
    public static string Describe(NpgsqlConnectionStringBuilder settings) =>
        $"Control database \"{settings.Database}\" on {Server(settings)} (user \"{settings.Username}\")";
}
