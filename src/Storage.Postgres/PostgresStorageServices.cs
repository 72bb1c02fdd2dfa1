using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace CdcOrleans.Storage.Postgres;

/// <summary>Registers the control database's services.</summary>
public static class PostgresStorageServices
{
    /// <summary>The key under which the control database's <see cref="NpgsqlDataSource"/> is registered.</summary>
    public const string DataSourceKey = "cdc.control";

    /// <summary>
    /// Adds <see cref="ICheckpointStore"/>, <see cref="ISchemaStore"/> and <see cref="IConfirmedPositions"/> on the control database, and its data source under
    /// <see cref="DataSourceKey"/>. The database must have been migrated (<see cref="ControlDatabase.Migrate"/>) before they are used.
    /// </summary>
    /// <param name="services">The services.</param>
    /// <param name="connection">Npgsql connection string of the control database.</param>
    /// <exception cref="ControlDatabaseException"><paramref name="connection"/> is not an Npgsql connection string.</exception>
    public static IServiceCollection AddPostgresStorage(this IServiceCollection services, string connection)
    {
        var prepared = ControlConnection.ForStore(connection);
        services.AddKeyedSingleton(DataSourceKey, (provider, _) =>
            new NpgsqlDataSourceBuilder(prepared) { Name = DataSourceKey }.UseLoggerFactory(provider.GetService<ILoggerFactory>()).Build());
        services.AddSingleton<ISchemaStore>(provider =>
            new PostgresSchemaStore(provider.GetRequiredKeyedService<NpgsqlDataSource>(DataSourceKey)));
        services.AddSingleton<ICheckpointStore>(provider =>
            new PostgresCheckpointStore(
                provider.GetRequiredKeyedService<NpgsqlDataSource>(DataSourceKey), provider.GetRequiredService<ISchemaStore>()));
        services.AddSingleton<IConfirmedPositions>(provider =>
            new PostgresConfirmedPositions(
                provider.GetRequiredKeyedService<NpgsqlDataSource>(DataSourceKey), provider.GetRequiredService<ICheckpointStore>()));
        return services;
    }
}
