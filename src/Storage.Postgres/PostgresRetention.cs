using CdcOrleans.Model.Storage;
using Npgsql;

namespace CdcOrleans.Storage.Postgres;

/// <summary>Deletes old delete markers and dead letters, in one short transaction for each call.</summary>
internal sealed class PostgresRetention(NpgsqlDataSource control) : IRetentionStore
{
    public Task<int?> PurgeDeleteMarkers(TimeSpan age, int most, CancellationToken cancellation) =>
        Purge("SELECT cdc.purge_delete_markers($1, $2)", age, most, cancellation);

    public Task<int?> PurgeDeadLetters(TimeSpan age, int most, CancellationToken cancellation) =>
        Purge("SELECT cdc.purge_dead_letters($1, $2)", age, most, cancellation);

    private async Task<int?> Purge(string statement, TimeSpan age, int most, CancellationToken cancellation)
    {
        await using var command = control.CreateCommand(statement);
        command.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = age });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = most });
        return await command.ExecuteScalarAsync(cancellation) as int?;
    }
}
