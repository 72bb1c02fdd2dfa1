using System.Reflection;
using DbUp;
using DbUp.Engine;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace CdcOrleans.Storage.Postgres;

/// <summary>
/// The control database: the PostgreSQL database in which the pipeline stores its own data. Our tables are in the schema <c>cdc</c>, and
/// those of Orleans in the schema <c>orleans</c>.
/// </summary>
public static partial class ControlDatabase
{
    /// <summary>The schema of our own tables.</summary>
    public const string Schema = "cdc";

    /// <summary>The schema of Orleans' tables.</summary>
    public const string OrleansSchema = "orleans";

    /// <summary>The provider's name for Orleans' ADO.NET options.</summary>
    public const string OrleansInvariant = "Npgsql";

    // Key of the advisory lock for migrations: "cdc.migr" as a number.
    private const long MigrationLock = 0x6364632E6D696772;

    /// <summary>
    /// Migrates the control database to this release. Creates it when it does not exist and the role may create it. Several silos may call
    /// it at once: one migrates, and the others wait for it.
    /// </summary>
    /// <param name="connection">Npgsql connection string.</param>
    /// <param name="logger">Logs what was created and migrated.</param>
    /// <param name="cancellation">Stops waiting. A migration that has begun is finished.</param>
    /// <exception cref="ControlDatabaseException">
    /// The server or the database cannot be used, or a migration failed; the message has the remedy.
    /// </exception>
    public static async Task Migrate(string connection, ILogger logger, CancellationToken cancellation)
    {
        var settings = ControlConnection.Parse(connection);
        settings.Pooling = false;
        await EnsureDatabase(settings, logger, cancellation);

        try
        {
            await using var holder = new NpgsqlConnection(settings.ConnectionString);
            await holder.OpenAsync(cancellation);
            await RequireReadCommitted(holder, settings, cancellation);
            await Lock(holder, cancellation);
            await EnsureSchema(holder, cancellation);
            var result = await Task.Run(() => Upgrade(settings, logger), cancellation);
            if (!result.Successful)
                throw ControlTrouble.Explain(settings, result.Error, $"Migration {result.ErrorScript?.Name} failed.");
        }
        catch (NpgsqlException trouble)
        {
            throw ControlTrouble.Explain(settings, trouble);
        }
    }

    /// <summary>Checks that the database answers, or that the role may create it, and changes nothing.</summary>
    /// <param name="connection">Npgsql connection string.</param>
    /// <param name="cancellation">Cancels.</param>
    /// <exception cref="ControlDatabaseException">It cannot be used; the message has the remedy.</exception>
    public static async Task Check(string connection, CancellationToken cancellation)
    {
        var settings = ControlConnection.Parse(connection);
        settings.Pooling = false;
        try
        {
            await using var probe = new NpgsqlConnection(settings.ConnectionString);
            await probe.OpenAsync(cancellation);
        }
        catch (PostgresException missing) when (missing.SqlState == PostgresErrorCodes.InvalidCatalogName)
        {
            await CheckMayCreate(settings, missing, cancellation);
        }
        catch (NpgsqlException trouble)
        {
            throw ControlTrouble.Explain(settings, trouble);
        }
    }

    private static async Task CheckMayCreate(NpgsqlConnectionStringBuilder settings, PostgresException missing, CancellationToken cancellation)
    {
        var maintenance = new NpgsqlConnectionStringBuilder(settings.ConnectionString) { Database = "postgres" };
        try
        {
            await using var connection = new NpgsqlConnection(maintenance.ConnectionString);
            await connection.OpenAsync(cancellation);
            await using var may = new NpgsqlCommand("SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user", connection);
            if (await may.ExecuteScalarAsync(cancellation) is true)
                return;
        }
        catch (NpgsqlException trouble)
        {
            throw ControlTrouble.ExplainMissingDatabase(settings, trouble);
        }

        throw ControlTrouble.ExplainMissingDatabase(settings, missing);
    }

    /// <summary>
    /// Returns the connection string for Orleans' ADO.NET providers: the same database, with the search path that their queries need.
    /// </summary>
    /// <exception cref="ControlDatabaseException"><paramref name="connection"/> is not an Npgsql connection string.</exception>
    public static string OrleansConnection(string connection)
    {
        var settings = ControlConnection.Bounded(ControlConnection.Parse(connection));
        settings.SearchPath = OrleansSchema;
        return settings.ConnectionString;
    }

    private static async Task EnsureDatabase(NpgsqlConnectionStringBuilder settings, ILogger logger, CancellationToken cancellation)
    {
        try
        {
            await using var probe = new NpgsqlConnection(settings.ConnectionString);
            await probe.OpenAsync(cancellation);
        }
        catch (PostgresException trouble) when (trouble.SqlState == PostgresErrorCodes.InvalidCatalogName)
        {
            await CreateDatabase(settings, logger, cancellation);
        }
        catch (NpgsqlException trouble)
        {
            throw ControlTrouble.Explain(settings, trouble);
        }
    }

    private static async Task CreateDatabase(NpgsqlConnectionStringBuilder settings, ILogger logger, CancellationToken cancellation)
    {
        var name = settings.Database!;
        var maintenance = new NpgsqlConnectionStringBuilder(settings.ConnectionString) { Database = "postgres" };
        try
        {
            await using var connection = new NpgsqlConnection(maintenance.ConnectionString);
            await connection.OpenAsync(cancellation);
            await Lock(connection, cancellation);
            await using var find = new NpgsqlCommand("SELECT FROM pg_database WHERE datname = $1", connection) { Parameters = { new() { Value = name } } };
            await using (var found = await find.ExecuteReaderAsync(cancellation))
            {
                if (await found.ReadAsync(cancellation))
                    return;
            }

            await using var create = new NpgsqlCommand($"CREATE DATABASE {Quote(name)}", connection) { CommandTimeout = 0 };
            await create.ExecuteNonQueryAsync(cancellation);
            var server = ControlConnection.Server(settings);
            CreatedDatabase(logger, name, server);
        }
        catch (NpgsqlException trouble)
        {
            throw ControlTrouble.ExplainMissingDatabase(settings, trouble);
        }
    }

    // Checkpoints need this isolation level: after a transaction has waited for a lock, it must read what the former holder of the lock
    // wrote.
    private static async Task RequireReadCommitted(NpgsqlConnection connection, NpgsqlConnectionStringBuilder settings, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand("SHOW default_transaction_isolation", connection);
        var level = (string?)await command.ExecuteScalarAsync(cancellation);
        if (level != "read committed")
            throw new ControlDatabaseException(
                $"{ControlConnection.Describe(settings)} begins transactions at \"{level}\", but checkpoints need \"read committed\". "
                + $"Remedy: ALTER ROLE {Quote(settings.Username ?? "")} IN DATABASE {Quote(settings.Database ?? "")} SET default_transaction_isolation = 'read committed'.");
    }

    private static async Task Lock(NpgsqlConnection connection, CancellationToken cancellation)
    {
        // The lock is released when the connection closes.
        await using var command = new NpgsqlCommand("SELECT pg_advisory_lock($1)", connection) { Parameters = { new() { Value = MigrationLock } }, CommandTimeout = 0 };
        await command.ExecuteNonQueryAsync(cancellation);
    }

    // CREATE SCHEMA IF NOT EXISTS would require the right to create schemas even when the schema exists.
    private static async Task EnsureSchema(NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var find = new NpgsqlCommand($"SELECT to_regnamespace('{Schema}') IS NULL", connection);
        if (await find.ExecuteScalarAsync(cancellation) is not true)
            return;
        await using var create = new NpgsqlCommand($"CREATE SCHEMA {Schema}", connection);
        await create.ExecuteNonQueryAsync(cancellation);
    }

    private static DatabaseUpgradeResult Upgrade(NpgsqlConnectionStringBuilder settings, ILogger logger) =>
        DeployChanges.To
            .PostgresqlDatabase(settings.ConnectionString)
            .WithScripts(Scripts())
            .WithTransactionPerScript()
            .WithVariablesDisabled()
            .WithExecutionTimeout(TimeSpan.FromHours(1))
            .JournalToPostgresqlTable(Schema, "migrations")
            .LogTo(new MigrationLog(logger))
            .Build()
            .PerformUpgrade();

    // The journal of migrations has only the file name of a script, so assemblies and namespaces can be renamed.
    private static SqlScript[] Scripts()
    {
        var assembly = typeof(ControlDatabase).Assembly;
        return [.. assembly.GetManifestResourceNames()
            .Where(resource => resource.EndsWith(".sql", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal)
            .Select(resource => new SqlScript(FileName(resource), Read(assembly, resource)))];
    }

    private static string FileName(string resource) => resource[(resource.LastIndexOf('.', resource.Length - 5) + 1)..];

    private static string Read(Assembly assembly, string resource)
    {
        using var reader = new StreamReader(assembly.GetManifestResourceStream(resource)!);
        return reader.ReadToEnd();
    }

    private static string Quote(string identifier) => $"\"{identifier.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";

    [LoggerMessage(Level = LogLevel.Information, Message = "Created control database {Database} on {Server}.")]
    private static partial void CreatedDatabase(ILogger logger, string database, string server);
}
