using Npgsql;

namespace CdcOrleans.Samples.TheWorldShop.Databases;

/// <summary>Opening databases, with errors that say which server was meant and never what the password was.</summary>
internal static class ShopDatabase
{
    public static async Task<NpgsqlConnection> Open(string connection, CancellationToken cancellation, string? database = null)
    {
        NpgsqlConnectionStringBuilder settings;
        try
        {
            settings = new NpgsqlConnectionStringBuilder(connection) { Pooling = false, ApplicationName = "theworldshop" };
        }
        catch (ArgumentException error)
        {
            throw new UserException($"The connection string cannot be read: {error.Message} Expected e.g. Host=127.0.0.1;Database=theworldshop;Username=cdc");
        }

        if (database is not null)
            settings.Database = database;
        var open = new NpgsqlConnection(settings.ConnectionString);
        try
        {
            await open.OpenAsync(cancellation);
            return open;
        }
        catch (Exception error) when (error is NpgsqlException or TimeoutException)
        {
            await open.DisposeAsync();
            var remedy = error is PostgresException ? "" : " Is the server running, and are host and port right?";
            throw new UserException($"Cannot open database '{settings.Database}' at {settings.Host}:{settings.Port} as '{settings.Username}': {error.Message}{remedy}");
        }
    }

    public static string NameIn(string connection) =>
        new NpgsqlConnectionStringBuilder(connection).Database ?? throw new UserException("The connection string names no database.");

    public static async Task<int> Execute(NpgsqlConnection open, string sql, CancellationToken cancellation, params (string Name, object Value)[] parameters)
    {
        await using var command = Command(open, sql, parameters);
        return await command.ExecuteNonQueryAsync(cancellation);
    }

    public static async Task<T?> Scalar<T>(NpgsqlConnection open, string sql, CancellationToken cancellation, params (string Name, object Value)[] parameters)
    {
        await using var command = Command(open, sql, parameters);
        return await command.ExecuteScalarAsync(cancellation) is T value ? value : default;
    }

    public static string Quote(string identifier) => $"\"{identifier.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";

    private static NpgsqlCommand Command(NpgsqlConnection open, string sql, (string Name, object Value)[] parameters)
    {
        var command = new NpgsqlCommand(sql, open) { CommandTimeout = 120 };
        foreach (var (name, value) in parameters)
            command.Parameters.AddWithValue(name, value);
        return command;
    }
}
