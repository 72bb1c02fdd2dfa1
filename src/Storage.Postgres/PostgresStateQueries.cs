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

    public async Task<EntityState?> Find(string source, EntityKey key, CancellationToken cancellation)
    {
        try
        {
            return await _tables.FindTable(source, key.Table, cancellation) is { } table
                ? (await _states.Read([new StateKey(table, key.Key)], cancellation))[0]
                : null;
        }
        catch (NpgsqlException busy) when (busy is not PostgresException && busy.Message.Contains("pool", StringComparison.Ordinal))
        {
            throw new StateUnavailableException(
                $"All {ControlConnection.MostQueries} connections that a silo has for questions to the control database are in use. "
                + "Remedy: ask fewer entities at the same time, and ask again in a moment.",
                busy);
        }
        catch (NpgsqlException trouble) when (trouble.IsTransient)
        {
            throw new StateUnavailableException(
                "The control database does not answer. Remedy: check that its server runs and can be reached, and ask again.", trouble);
        }
    }
}
