using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;
using Npgsql;
using NpgsqlTypes;

namespace CdcOrleans.Storage.Postgres;

/// <summary>Makes the statements of a checkpoint for parked events.</summary>
internal static class ParkedStatements
{
    private const string InsertEvents =
        """
        INSERT INTO cdc.parked_events
            (source, sink, table_name, key_id, place_lsn, place_ordinal, commit_lsn, ordinal, part, topic, event_key, event_value, headers, schema_version, bytes, parked_at, turn, letter_id, origin)
        SELECT $1, given.* FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) AS given
        ON CONFLICT DO NOTHING
        """;

    private const string DeleteEvents =
        """
        DELETE FROM cdc.parked_events AS stored
        USING unnest($2, $3, $4, $5, $6, $7, $8, $9, $10) AS given (sink, table_name, key_id, place_lsn, place_ordinal, commit_lsn, ordinal, part, turn)
        WHERE stored.source = $1 AND stored.sink = given.sink AND stored.table_name = given.table_name AND stored.key_id = given.key_id
            AND stored.place_lsn = given.place_lsn AND stored.place_ordinal = given.place_ordinal
            AND stored.commit_lsn = given.commit_lsn AND stored.ordinal = given.ordinal AND stored.part = given.part AND stored.turn = given.turn
        """;

    private const string UpsertEntities =
        """
        INSERT INTO cdc.parked_entities
            (source, sink, table_name, key_id, entity_key, partition, events, bytes,
            newest_place_lsn, newest_place_ordinal, newest_lsn, newest_ordinal, newest_part, attempts, first_tried_at, due_at, last_error, blocked, newest_turn)
        SELECT $1, given.* FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) AS given
        ON CONFLICT (source, sink, table_name, key_id) DO UPDATE
        SET partition = excluded.partition, events = excluded.events, bytes = excluded.bytes,
            newest_place_lsn = excluded.newest_place_lsn, newest_place_ordinal = excluded.newest_place_ordinal, newest_lsn = excluded.newest_lsn,
            newest_ordinal = excluded.newest_ordinal, newest_part = excluded.newest_part, attempts = excluded.attempts,
            first_tried_at = excluded.first_tried_at, due_at = excluded.due_at, last_error = excluded.last_error, blocked = excluded.blocked, newest_turn = excluded.newest_turn
        """;

    private const string DeleteEntities =
        """
        DELETE FROM cdc.parked_entities AS stored
        USING unnest($2, $3, $4) AS given (sink, table_name, key_id)
        WHERE stored.source = $1 AND stored.sink = given.sink AND stored.table_name = given.table_name AND stored.key_id = given.key_id
        """;

    // The letter stays until its event is delivered. It is not claimed any more, because its event shows where it is.
    private const string MarkLetters = "UPDATE cdc.dead_letters SET redelivering = true WHERE id = ANY ($1)";

    private const string DeleteLetters = "DELETE FROM cdc.dead_letters WHERE id = ANY ($1)";

    private const string UpdateLetters =
        """
        UPDATE cdc.dead_letters AS letter
        SET redelivering = false, claim = NULL, attempts = letter.attempts + given.attempts, error = given.error, failed_at = now(),
            fingerprint = cdc.fingerprint(letter.sink, letter.table_name, given.error)
        FROM unnest($1, $2, $3) AS given (id, attempts, error)
        WHERE letter.id = given.id AND letter.redelivering
        """;

    /// <summary>Returns the statements of a slice: first what was parked, then what left, then what is known of the entities.</summary>
    public static IEnumerable<NpgsqlBatchCommand> Of(string source, ParkedSlice slice)
    {
        foreach (var some in Slices.Of<ParkedEvent>(slice.Parked.ToArray(), e => e.Size))
            yield return Insert(source, some.Rows);
        long[] again = [.. slice.Parked.Where(e => e.LetterId is not null).Select(e => e.LetterId!.Value)];
        if (again.Length > 0)
            yield return SqlValues.Statement(MarkLetters, new NpgsqlParameter<long[]> { TypedValue = again });
        foreach (var some in Slices.Of<ParkedEventId>(slice.Unparked.ToArray(), _ => ParkedSlices.SmallRow))
            yield return Delete(source, some.Rows);
        if (slice.Letters.Count > 0)
        {
            yield return SqlValues.Statement(DeleteLetters, SqlValues.Bigints(slice.Letters.FindAll(l => l.Failure is null), l => l.Id));
            yield return Refuse(slice.Letters.FindAll(l => l.Failure is not null));
        }

        ParkedEntityRow[] kept = [.. slice.Entities.Where(e => !e.State.IsOver)];
        if (kept.Length > 0)
            yield return Upsert(source, kept);
        ParkedEntityState[] over = [.. slice.Entities.Where(e => e.State.IsOver).Select(e => e.State)];
        if (over.Length > 0)
            yield return Delete(source, over);
    }

    private static NpgsqlBatchCommand Insert(string source, ArraySegment<ParkedEvent> slice) => SqlValues.Statement(
        InsertEvents,
        SqlValues.Text(source),
        SqlValues.Texts(slice, e => e.Sink),
        SqlValues.Texts(slice, e => e.Event.Entity.Table),
        SqlValues.Texts(slice, e => StoredText.Key(e.Event.Entity.Key)),
        SqlValues.Bigints(slice, e => SqlValues.Stored(e.Place.CommitLsn)),
        SqlValues.Bigints(slice, e => e.Place.Ordinal),
        SqlValues.Bigints(slice, e => SqlValues.Stored(e.Event.Version.CommitLsn)),
        SqlValues.Bigints(slice, e => e.Event.Version.Ordinal),
        SqlValues.Integers(slice, e => e.Event.Part),
        SqlValues.Texts(slice, e => StoredText.Holdable(e.Event.Topic)),
        SqlValues.Array(slice, e => e.Event.Key, NpgsqlDbType.Bytea),
        SqlValues.Array(slice, e => e.Event.Value, NpgsqlDbType.Bytea),
        SqlValues.Texts(slice, e => StoredHeaders.Write(e.Event.Headers)),
        SqlValues.Integers(slice, e => e.Event.SchemaVersion),
        SqlValues.Integers(slice, e => e.Size),
        SqlValues.Array(slice, e => e.ParkedAt, NpgsqlDbType.TimestampTz),
        SqlValues.Integers(slice, e => e.Turn),
        SqlValues.Array(slice, e => e.LetterId, NpgsqlDbType.Bigint),
        SqlValues.Array(slice, e => (short)(e.Event.Origin is EventOrigin.Replay or EventOrigin.Backfill ? e.Event.Origin : EventOrigin.Redelivery), NpgsqlDbType.Smallint));

    private static NpgsqlBatchCommand Delete(string source, ArraySegment<ParkedEventId> slice) => SqlValues.Statement(
        DeleteEvents,
        SqlValues.Text(source),
        SqlValues.Texts(slice, e => e.Sink),
        SqlValues.Texts(slice, e => e.Entity.Table),
        SqlValues.Texts(slice, e => StoredText.Key(e.Entity.Key)),
        SqlValues.Bigints(slice, e => SqlValues.Stored(e.Position.Place.CommitLsn)),
        SqlValues.Bigints(slice, e => e.Position.Place.Ordinal),
        SqlValues.Bigints(slice, e => SqlValues.Stored(e.Position.Version.CommitLsn)),
        SqlValues.Bigints(slice, e => e.Position.Version.Ordinal),
        SqlValues.Integers(slice, e => e.Position.Part),
        SqlValues.Integers(slice, e => e.Position.Turn));

    private static NpgsqlBatchCommand Refuse(List<LetterOutcome> refused) => SqlValues.Statement(
        UpdateLetters,
        SqlValues.Bigints(refused, l => l.Id),
        SqlValues.Integers(refused, l => l.Attempts),
        SqlValues.Texts(refused, l => StoredText.Words(l.Failure!)));

    private static NpgsqlBatchCommand Upsert(string source, ArraySegment<ParkedEntityRow> slice) => SqlValues.Statement(
        UpsertEntities,
        SqlValues.Text(source),
        SqlValues.Texts(slice, e => e.State.Sink),
        SqlValues.Texts(slice, e => e.State.Entity.Table),
        SqlValues.Texts(slice, e => StoredText.Key(e.State.Entity.Key)),
        SqlValues.Texts(slice, e => e.State.Entity.Key),
        SqlValues.Integers(slice, e => e.Partition),
        SqlValues.Integers(slice, e => e.State.Events),
        SqlValues.Bigints(slice, e => e.State.Bytes),
        SqlValues.Bigints(slice, e => SqlValues.Stored(e.State.Newest.Place.CommitLsn)),
        SqlValues.Bigints(slice, e => e.State.Newest.Place.Ordinal),
        SqlValues.Bigints(slice, e => SqlValues.Stored(e.State.Newest.Version.CommitLsn)),
        SqlValues.Bigints(slice, e => e.State.Newest.Version.Ordinal),
        SqlValues.Integers(slice, e => e.State.Newest.Part),
        SqlValues.Integers(slice, e => e.State.Attempts),
        SqlValues.Array(slice, e => e.State.FirstTriedAt, NpgsqlDbType.TimestampTz),
        SqlValues.Array(slice, e => e.State.DueAt, NpgsqlDbType.TimestampTz),
        SqlValues.Texts(slice, e => e.State.LastError is { } error ? StoredText.Words(error) : null),
        SqlValues.Array(slice, e => e.State.IsBlocked, NpgsqlDbType.Boolean),
        SqlValues.Integers(slice, e => e.State.Newest.Turn));

    private static NpgsqlBatchCommand Delete(string source, ArraySegment<ParkedEntityState> slice) => SqlValues.Statement(
        DeleteEntities,
        SqlValues.Text(source),
        SqlValues.Texts(slice, e => e.Sink),
        SqlValues.Texts(slice, e => e.Entity.Table),
        SqlValues.Texts(slice, e => StoredText.Key(e.Entity.Key)));
}
