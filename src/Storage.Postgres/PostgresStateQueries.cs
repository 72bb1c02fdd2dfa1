using System.Collections.Concurrent;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Storage;
using Npgsql;

namespace CdcOrleans.Storage.Postgres;

/// <summary>Answers questions for states, over a small pool of connections of its own.</summary>
internal sealed class PostgresStateQueries(NpgsqlDataSource queries, ISchemaStore schemas) : IStateQueries
{
    private readonly StoredStates _states = new(queries, schemas);
    private readonly ConcurrentDictionary<(string Source, string Table), int> _tables = new();

    public async Task<EntityState?> Find(string source, EntityKey key, CancellationToken cancellation)
    {
        try
        {
            return await FindTable(source, key.Table, cancellation) is { } table
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

    private async Task<int?> FindTable(string source, string table, CancellationToken cancellation)
    {
        if (_tables.TryGetValue((source, table), out var known))
            return known;
        await using var command = queries.CreateCommand("SELECT table_id FROM cdc.tables WHERE source = $1 AND name = $2");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = source });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = table });
        return await command.ExecuteScalarAsync(cancellation) is int found ? _tables[(source, table)] = found : null;
    }
}
