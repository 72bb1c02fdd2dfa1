using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Storage;
using Npgsql;

namespace CdcOrleans.Storage.Postgres;

/// <summary>Answers questions for states, over a small pool of connections of its own.</summary>
internal sealed class PostgresStateQueries(NpgsqlDataSource queries, ISchemaStore schemas) : IStateQueries
{
    private readonly StoredStates _states = new(queries, schemas);

    // Finds tables over the same connections; the schemas of rows come from the store that the pipeline uses.
    private readonly PostgresSchemaStore _tables = new(queries);

    public Task<EntityState?> Find(string source, EntityKey key, CancellationToken cancellation) => QueryGuard.Run(async () =>
        await _tables.FindTable(source, key.Table, cancellation) is { } table
            ? (await _states.Read([new StateKey(table, key.Key)], cancellation))[0]
            : null);
}
