using System.Data.Common;
using Npgsql;

namespace CdcOrleans.Storage.Postgres;

/// <summary>Parses the connection string of the control database, and describes it without secrets.</summary>
internal static class ControlConnection
{
    /// <summary>Parses a connection string and adds what is missing: the default database and an application name.</summary>
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
        return settings;
    }

    /// <summary>
    /// Returns the connection string for checkpoints and schemas. Repeated statements are prepared, unless the connection string says
    /// otherwise.
    /// </summary>
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

    /// <summary>Describes server, database and user for messages.</summary>
    public static string Describe(NpgsqlConnectionStringBuilder settings) =>
        $"Control database \"{settings.Database}\" on {Server(settings)} (user \"{settings.Username}\")";
}
