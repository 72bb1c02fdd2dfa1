using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;
using Npgsql;
using NpgsqlTypes;
using static CdcOrleans.Storage.Postgres.SqlValues;

namespace CdcOrleans.Storage.Postgres;

/// <summary>
/// Makes the statements of a checkpoint: dead letters and states, a slice for each statement, and the last statement of a transaction,
/// which checks the fence and sets the progress. Each statement has one text and arrays as parameters, for any number of rows, so it is
/// prepared only once.
/// </summary>
internal static class CheckpointStatements
{
    private const string UpsertStates =
        """
        INSERT INTO cdc.entity_states AS stored (table_id, key, commit_lsn, ordinal, schema_version, deleted, "row", xid, chunk, deleted_at)
        SELECT given.table_id, given.key, given.commit_lsn, given.ordinal, given.schema_version, given.deleted, given."row", given.xid, nullif(given.chunk, 0),
            CASE WHEN given.deleted THEN now() END
        FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) AS given (table_id, key, commit_lsn, ordinal, schema_version, deleted, "row", xid, chunk)
        ON CONFLICT (table_id, key) DO UPDATE
        SET commit_lsn = excluded.commit_lsn, ordinal = excluded.ordinal, schema_version = excluded.schema_version,
            deleted = excluded.deleted, "row" = excluded."row", xid = excluded.xid, chunk = excluded.chunk, deleted_at = excluded.deleted_at
        WHERE (stored.commit_lsn, stored.ordinal) < (excluded.commit_lsn, excluded.ordinal)
            OR ((stored.commit_lsn, stored.ordinal) = (excluded.commit_lsn, excluded.ordinal) AND coalesce(stored.chunk, 0) < excluded.chunk)
        """;

    private const string InsertDeadLetters =
        """
        INSERT INTO cdc.dead_letters
            (source, table_name, entity_key, commit_lsn, ordinal, sink, topic, occurrence, event_key, event_value, error,
            has_event, headers, schema_version, origin, part, attempts, first_failed_at, fingerprint)
        SELECT $1, given.table_name, given.entity_key, given.commit_lsn, given.ordinal, given.sink, given.topic, given.occurrence, given.event_key,
            given.event_value, given.error, given.has_event, given.headers, given.schema_version, given.origin, given.part, given.attempts,
            coalesce(given.first_failed_at, now()), cdc.fingerprint(given.sink, given.table_name, given.error)
        FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) AS given
            (table_name, entity_key, commit_lsn, ordinal, sink, topic, occurrence, event_key, event_value, error,
            has_event, headers, schema_version, origin, part, attempts, first_failed_at)
        ON CONFLICT DO NOTHING
        """;

    private const string FenceAndAdvance = "SELECT cdc.advance($1, $2, $3, $4, $5, $6, $7, $8)";

    /// <summary>Writes states.</summary>
    public static NpgsqlBatchCommand Upsert(ArraySegment<StateRow> slice) => Statement(
        UpsertStates,
        Integers(slice, s => s.State.Table.TableId),
        Texts(slice, s => s.Key),
        Bigints(slice, s => Stored(s.State.Version.CommitLsn)),
        Bigints(slice, s => s.State.Version.Ordinal),
        Integers(slice, s => s.State.Table.Version),
        Array(slice, s => s.State.Deleted, NpgsqlDbType.Boolean),
        Array(slice, s => s.State.Absence == RowAbsence.TooLarge ? StoredStates.TooLarge : s.State.Row.ToStorage(), NpgsqlDbType.Bytea),
        Integers(slice, s => unchecked((int)s.State.Xid)),
        Bigints(slice, s => s.State.Chunk?.Number ?? 0));

    /// <summary>Writes dead letters.</summary>
    public static NpgsqlBatchCommand Insert(string source, ArraySegment<DeadLetterRow> slice) => Statement(
        InsertDeadLetters,
        Text(source),
        Texts(slice, d => d.Letter.Entity.Table),
        Texts(slice, d => d.Letter.Entity.Key),
        Bigints(slice, d => Stored(d.Letter.Version.CommitLsn)),
        Bigints(slice, d => d.Letter.Version.Ordinal),
        Texts(slice, d => d.Letter.Sink),
        Texts(slice, d => StoredText.Holdable(d.Letter.Topic)),
        Integers(slice, d => d.Occurrence),
        Array(slice, d => d.Letter.Key, NpgsqlDbType.Bytea),
        Array(slice, d => d.Letter.Value, NpgsqlDbType.Bytea),
        Texts(slice, d => StoredText.Words(d.Letter.Error)),
        Array(slice, d => d.Letter.HasEvent, NpgsqlDbType.Boolean),
        Texts(slice, d => StoredHeaders.Write(d.Letter.Headers)),
        Integers(slice, d => d.Letter.SchemaVersion),
        Array(slice, d => (short)d.Letter.Origin, NpgsqlDbType.Smallint),
        Integers(slice, d => d.Letter.Part),
        Integers(slice, d => d.Letter.Attempts),
        Array(slice, d => d.Letter.FirstFailedAt, NpgsqlDbType.TimestampTz));

    /// <summary>Ends a transaction of a checkpoint.</summary>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="isLast">Whether everything of it is written; only then the progress moves. The high marks move in any case.</param>
    public static NpgsqlBatchCommand Advance(Checkpoint checkpoint, bool isLast) => Statement(
        FenceAndAdvance,
        Text(checkpoint.Source),
        new NpgsqlParameter<long> { TypedValue = checkpoint.Epoch },
        Integers(checkpoint.Partitions, p => p.Partition),
        Bigints(checkpoint.Partitions, p => p.Generation),
        Bigints(checkpoint.Partitions, p => isLast ? Stored(p.Progress.CommitLsn) : 0),
        Bigints(checkpoint.Partitions, p => isLast ? p.Progress.Ordinal : 0),
        Bigints(checkpoint.Partitions, p => Stored(p.High.CommitLsn)),
        Bigints(checkpoint.Partitions, p => p.High.Ordinal));
}
