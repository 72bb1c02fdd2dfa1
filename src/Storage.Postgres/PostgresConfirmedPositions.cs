using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Storage;
using Npgsql;
using NpgsqlTypes;

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
            SELECT system_identifier, confirmed_lsn, coalesce(gap_accepted_at > now() - interval '1 hour', false), coalesce(timeline, 0), timeline_begin,
                coalesce((SELECT max(greatest(p.high_lsn, p.progress_lsn)) FROM cdc.partitions AS p WHERE p.source = $1), 0)
            FROM cdc.sources WHERE source = $1 AND system_identifier IS NOT NULL
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = source });
        await using var rows = await command.ExecuteReaderAsync(cancellation);
        if (!await rows.ReadAsync(cancellation))
            return null;
        var log = new ServerLog(rows.GetString(0), (uint)rows.GetInt64(3), rows.IsDBNull(4) ? null : new Lsn((ulong)rows.GetInt64(4)));
        return new ConfirmedPosition(log, new Lsn((ulong)rows.GetInt64(1)), rows.GetBoolean(2)).WithDelivered(new Lsn((ulong)rows.GetInt64(5)));
    }

    public async Task Set(string source, long epoch, ServerLog log, Lsn confirmed, CancellationToken cancellation)
    {
        await using var command = control.CreateCommand(
            """
            UPDATE cdc.sources SET system_identifier = $3, confirmed_lsn = $4, timeline = $5,
                timeline_begin = CASE WHEN timeline = $5 THEN coalesce($6, timeline_begin) ELSE $6 END
            WHERE source = $1 AND epoch = $2
            """);
        Add(command, source, epoch, log, confirmed);
        if (await command.ExecuteNonQueryAsync(cancellation) == 0)
            throw Stale(source, epoch);
    }

    public async Task Reset(string source, long epoch, ServerLog log, Lsn confirmed, CancellationToken cancellation)
    {
        // The generations are raised first. From then on, no open activation of a partition can write. The positions are kept until the
        // stored rows are deleted: they may be all that shows the gap, if this is interrupted.
        await using (var command = control.CreateCommand(
            """
            WITH current AS (SELECT FROM cdc.sources WHERE source = $1 AND epoch = $2 FOR SHARE)
            UPDATE cdc.partitions SET generation = generation + 1 WHERE source = $1 AND EXISTS (SELECT FROM current)
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
                UPDATE cdc.sources SET system_identifier = $3, confirmed_lsn = $4, timeline = $5, timeline_begin = $6, gap_accepted_at = NULL
                WHERE source = $1 AND epoch = $2 RETURNING 1),
            progress AS (
                UPDATE cdc.partitions
                SET generation = generation + 1, progress_lsn = 0, progress_ordinal = 0, high_lsn = 0, high_ordinal = 0
                WHERE source = $1 AND EXISTS (SELECT FROM current)),
            history AS (DELETE FROM cdc.relations WHERE source = $1 AND EXISTS (SELECT FROM current)),
            origins AS (DELETE FROM cdc.origins WHERE source = $1 AND EXISTS (SELECT FROM current))
            SELECT count(*) FROM current
            """);
        Add(last, source, epoch, log, confirmed);
        if (await last.ExecuteScalarAsync(cancellation) is not 1L)
            throw Stale(source, epoch);
    }

    private static void Add(NpgsqlCommand command, string source, long epoch, ServerLog log, Lsn confirmed)
    {
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = source });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = epoch });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = log.SystemIdentifier });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = checked((long)confirmed.Value) });
        command.Parameters.Add(new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Bigint, Value = log.Timeline == 0 ? DBNull.Value : (long)log.Timeline });
        command.Parameters.Add(new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Bigint, Value = log.Begin is { } begin ? checked((long)begin.Value) : DBNull.Value });
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
