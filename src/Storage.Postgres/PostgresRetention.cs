using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Storage;
using Npgsql;
using NpgsqlTypes;

namespace CdcOrleans.Storage.Postgres;

/// <summary>Deletes old delete markers, dead letters and audit entries, in one short transaction for each call.</summary>
internal sealed class PostgresRetention(NpgsqlDataSource control) : IRetentionStore
{
    public Task<int?> PurgeDeleteMarkers(TimeSpan age, int most, CancellationToken cancellation) =>
        Purge("SELECT cdc.purge_delete_markers($1, $2)", age, most, cancellation);

    public Task<int?> PurgeDeadLetters(TimeSpan age, int most, CancellationToken cancellation) =>
        Purge("SELECT cdc.purge_dead_letters($1, $2)", age, most, cancellation);

    public async Task<int?> SweepJournal(int tableId, JournalOptions? options, CancellationToken cancellation)
    {
        await using var command = control.CreateCommand("SELECT cdc.sweep_journal($1, $2, $3)");
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = tableId });
        command.Parameters.Add(new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Interval, Value = options?.Age is { } age ? age : DBNull.Value });
        command.Parameters.Add(new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Bigint, Value = options?.Size is { } size ? size : DBNull.Value });
        return await command.ExecuteScalarAsync(cancellation) as int?;
    }

    public Task<int?> PurgeAudit(TimeSpan age, int most, CancellationToken cancellation) =>
        Purge("SELECT cdc.purge_audit($1, $2)", age, most, cancellation);

    private async Task<int?> Purge(string statement, TimeSpan age, int most, CancellationToken cancellation)
    {
        await using var command = control.CreateCommand(statement);
        command.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = age });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = most });
        return await command.ExecuteScalarAsync(cancellation) as int?;
    }
}
