using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Storage;
using Npgsql;

namespace CdcOrleans.Storage.Postgres;

/// <summary>Confirmed positions of sources in the control database.</summary>
internal sealed class PostgresConfirmedPositions(NpgsqlDataSource control, ICheckpointStore checkpoints) : IConfirmedPositions
{
    // Higher than the version of every change.
    private static readonly ChangeVersion End = new(new Lsn(long.MaxValue), long.MaxValue);

    public async Task<ConfirmedPosition?> Find(string source, CancellationToken cancellation)
    {
        await using var command = control.CreateCommand(
            """
            SELECT system_identifier, confirmed_lsn, coalesce(gap_accepted_at > now() - interval '1 hour', false)
            FROM cdc.sources WHERE source = $1 AND system_identifier IS NOT NULL
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = source });
        await using var rows = await command.ExecuteReaderAsync(cancellation);
        return await rows.ReadAsync(cancellation)
            ? new ConfirmedPosition(rows.GetString(0), new Lsn((ulong)rows.GetInt64(1)), rows.GetBoolean(2))
            : null;
    }

    public async Task Set(string source, long epoch, string systemIdentifier, Lsn confirmed, CancellationToken cancellation)
    {
        await using var command = control.CreateCommand("UPDATE cdc.sources SET system_identifier = $3, confirmed_lsn = $4 WHERE source = $1 AND epoch = $2");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = source });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = epoch });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = systemIdentifier });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = checked((long)confirmed.Value) });
        if (await command.ExecuteNonQueryAsync(cancellation) == 0)
            throw Stale(source, epoch);
    }

    public async Task Reset(string source, long epoch, string systemIdentifier, Lsn confirmed, CancellationToken cancellation)
    {
        // The generations are raised first. From then on, no open activation of a partition can write.
        await using (var command = control.CreateCommand(
            """
            WITH current AS (SELECT FROM cdc.sources WHERE source = $1 AND epoch = $2 FOR SHARE)
            UPDATE cdc.partitions SET generation = generation + 1, progress_lsn = 0, progress_ordinal = 0, high_lsn = 0, high_ordinal = 0
            WHERE source = $1 AND EXISTS (SELECT FROM current)
            """))
        {
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = source });
            command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = epoch });
            await command.ExecuteNonQueryAsync(cancellation);
        }

        foreach (var table in await Tables(source, cancellation))
            await checkpoints.Truncate(source, epoch, table, End, cancellation);
        await using var last = control.CreateCommand(
            """
            WITH current AS (
                UPDATE cdc.sources SET system_identifier = $3, confirmed_lsn = $4, gap_accepted_at = NULL WHERE source = $1 AND epoch = $2 RETURNING 1),
            history AS (DELETE FROM cdc.relations WHERE source = $1 AND EXISTS (SELECT FROM current)),
            origins AS (DELETE FROM cdc.origins WHERE source = $1 AND EXISTS (SELECT FROM current))
            SELECT count(*) FROM current
            """);
        last.Parameters.Add(new NpgsqlParameter<string> { TypedValue = source });
        last.Parameters.Add(new NpgsqlParameter<long> { TypedValue = epoch });
        last.Parameters.Add(new NpgsqlParameter<string> { TypedValue = systemIdentifier });
        last.Parameters.Add(new NpgsqlParameter<long> { TypedValue = checked((long)confirmed.Value) });
        if (await last.ExecuteScalarAsync(cancellation) is not 1L)
            throw Stale(source, epoch);
    }

    private async Task<List<int>> Tables(string source, CancellationToken cancellation)
    {
        await using var command = control.CreateCommand("SELECT table_id FROM cdc.tables WHERE source = $1");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = source });
        await using var rows = await command.ExecuteReaderAsync(cancellation);
        var tables = new List<int>();
        while (await rows.ReadAsync(cancellation))
            tables.Add(rows.GetInt32(0));
        return tables;
    }

    private static StaleOwnerException Stale(string source, long epoch) =>
        new($"Source '{source}' has a newer reader than that of epoch {epoch}.", epochIsStale: true, []);
}
