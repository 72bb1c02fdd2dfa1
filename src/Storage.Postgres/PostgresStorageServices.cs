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

    /// <summary>The key under which the <see cref="NpgsqlDataSource"/> for questions is registered.</summary>
    public const string QueriesKey = "cdc.queries";

    /// <summary>
    /// Adds the stores on the control database: <see cref="ICheckpointStore"/>, <see cref="IParkedStore"/>, <see cref="ISchemaStore"/>, <see cref="IConfirmedPositions"/>,
    /// <see cref="IRetentionStore"/> and <see cref="IJournalHistories"/>, all on the data source under <see cref="DataSourceKey"/>, and <see cref="IStateQueries"/>, <see cref="IDeadLetterStore"/>,
    /// <see cref="IParkedQueries"/>, <see cref="IJournalReader"/>, <see cref="IReplayStore"/>, <see cref="IBackfillStore"/> and <see cref="IAuditStore"/> on the one under
    /// <see cref="QueriesKey"/>; <see cref="ISinkStore"/> uses both. The database must have been migrated (<see cref="ControlDatabase.Migrate"/>) before they are used.
    /// </summary>
    /// <param name="services">The services.</param>
    /// <param name="connection">Npgsql connection string of the control database.</param>
    /// <exception cref="ControlDatabaseException"><paramref name="connection"/> is not an Npgsql connection string.</exception>
    public static IServiceCollection AddPostgresStorage(this IServiceCollection services, string connection)
    {
        var prepared = ControlConnection.ForStore(connection);
        var forQueries = ControlConnection.ForQueries(connection);
        services.AddKeyedSingleton(DataSourceKey, (provider, _) => Build(provider, prepared, DataSourceKey));
        services.AddKeyedSingleton(QueriesKey, (provider, _) => Build(provider, forQueries, QueriesKey));
        services.AddSingleton<ISchemaStore>(provider =>
            new PostgresSchemaStore(provider.GetRequiredKeyedService<NpgsqlDataSource>(DataSourceKey)));
        services.AddSingleton<ICheckpointStore>(provider =>
            new PostgresCheckpointStore(
                provider.GetRequiredKeyedService<NpgsqlDataSource>(DataSourceKey), provider.GetRequiredService<ISchemaStore>(),
                logger: provider.GetService<ILogger<PostgresCheckpointStore>>()));
        services.AddSingleton<IStateQueries>(provider =>
            new PostgresStateQueries(provider.GetRequiredKeyedService<NpgsqlDataSource>(QueriesKey), provider.GetRequiredService<ISchemaStore>()));
        services.AddSingleton<IJournalHistories>(provider =>
            new PostgresJournalHistories(provider.GetRequiredKeyedService<NpgsqlDataSource>(DataSourceKey), provider.GetRequiredService<ISchemaStore>()));
        services.AddSingleton<IJournalReader>(provider =>
            new PostgresJournal(provider.GetRequiredKeyedService<NpgsqlDataSource>(QueriesKey), provider.GetRequiredService<ISchemaStore>()));
        services.AddSingleton<IDeadLetterStore>(provider => new PostgresDeadLetters(provider.GetRequiredKeyedService<NpgsqlDataSource>(QueriesKey)));
        services.AddSingleton<IReplayStore>(provider =>
            new PostgresReplays(provider.GetRequiredKeyedService<NpgsqlDataSource>(QueriesKey), provider.GetRequiredService<ISchemaStore>()));
        services.AddSingleton<IBackfillStore>(provider => new PostgresBackfills(provider.GetRequiredKeyedService<NpgsqlDataSource>(QueriesKey)));
        services.AddSingleton(provider => new PostgresOperations(provider.GetRequiredKeyedService<NpgsqlDataSource>(QueriesKey)));
        services.AddSingleton<IParkedQueries>(provider => provider.GetRequiredService<PostgresOperations>());
        services.AddSingleton<IAuditStore>(provider => provider.GetRequiredService<PostgresOperations>());
        services.AddSingleton<ISinkStore>(provider => new PostgresSinkStore(
            provider.GetRequiredKeyedService<NpgsqlDataSource>(DataSourceKey), provider.GetRequiredKeyedService<NpgsqlDataSource>(QueriesKey)));
        services.AddSingleton<IRetentionStore>(provider =>
            new PostgresRetention(provider.GetRequiredKeyedService<NpgsqlDataSource>(DataSourceKey)));
        services.AddSingleton<IParkedStore>(provider =>
            new PostgresParkedStore(provider.GetRequiredKeyedService<NpgsqlDataSource>(DataSourceKey)));
        services.AddSingleton<IConfirmedPositions>(provider =>
            new PostgresConfirmedPositions(
                provider.GetRequiredKeyedService<NpgsqlDataSource>(DataSourceKey), provider.GetRequiredService<ICheckpointStore>()));
        return services;
    }

    private static NpgsqlDataSource Build(IServiceProvider provider, string connection, string name) =>
        new NpgsqlDataSourceBuilder(connection) { Name = name }.UseLoggerFactory(provider.GetService<ILoggerFactory>()).Build();
}
