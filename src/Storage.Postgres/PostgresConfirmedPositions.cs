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

    public async Task Reset(string source, long epoch, ServerLog log, Lsn confirmed, IReadOnlyCollection<string> doubted, CancellationToken cancellation)
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

        foreach (var (table, name) in await Tables(source, cancellation))
            await (doubted.Contains(name) ? checkpoints.Doubt(source, epoch, table, cancellation) : checkpoints.Truncate(source, epoch, table, End, cancellation));
        await using (var era = control.CreateCommand("SELECT cdc.begin_journal_era($1, $2)"))
        {
            era.Parameters.Add(new NpgsqlParameter<string> { TypedValue = source });
            era.Parameters.Add(new NpgsqlParameter<long> { TypedValue = epoch });
            await era.ExecuteNonQueryAsync(cancellation);
        }

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
            gaps AS (
                INSERT INTO cdc.initial_backfills (source, table_name, after_gap)
                SELECT $1, doubted.name, true FROM unnest($7) AS doubted (name) WHERE EXISTS (SELECT FROM current)
                ON CONFLICT (source, table_name) DO UPDATE SET after_gap = true),
            origins AS (DELETE FROM cdc.origins WHERE source = $1 AND EXISTS (SELECT FROM current)),
            parked AS (DELETE FROM cdc.parked_events WHERE source = $1 AND EXISTS (SELECT FROM current) RETURNING *),
            entities AS (DELETE FROM cdc.parked_entities WHERE source = $1 AND EXISTS (SELECT FROM current) RETURNING *),
            letters AS (
                INSERT INTO cdc.dead_letters
                    (source, table_name, entity_key, commit_lsn, ordinal, sink, topic, occurrence, event_key, event_value, error,
                    headers, schema_version, part, attempts, first_failed_at, fingerprint)
                SELECT parked.source, parked.table_name, entities.entity_key, parked.commit_lsn, parked.ordinal, parked.sink, parked.topic, parked.part,
                    parked.event_key, parked.event_value, gap.error, parked.headers, parked.schema_version, parked.part, entities.attempts, parked.parked_at,
                    cdc.fingerprint(parked.sink, parked.table_name, gap.error)
                FROM parked JOIN entities USING (sink, table_name, key_id),
                    (SELECT 'The event was parked when a gap of its source was accepted. Later events may be at earlier positions.' AS error) AS gap
                WHERE parked.letter_id IS NULL
                ON CONFLICT DO NOTHING),
            again AS (
                UPDATE cdc.dead_letters AS letter SET redelivering = false, claim = NULL FROM parked WHERE letter.id = parked.letter_id)
            SELECT count(*) FROM current
            """);
        Add(last, source, epoch, log, confirmed);
        last.Parameters.Add(SqlValues.Texts([.. doubted], t => t));
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

    private async Task<List<(int Number, string Name)>> Tables(string source, CancellationToken cancellation)
    {
        await using var command = control.CreateCommand("SELECT table_id, name FROM cdc.tables WHERE source = $1");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = source });
        await using var rows = await command.ExecuteReaderAsync(cancellation);
        var tables = new List<(int, string)>();
        while (await rows.ReadAsync(cancellation))
            tables.Add((rows.GetInt32(0), rows.GetString(1)));
        return tables;
    }

    private static StaleOwnerException Stale(string source, long epoch) =>
        new($"Source '{source}' has a newer reader than that of epoch {epoch}.", epochIsStale: true, []);
}
