-- What merging an existing row with the stream needs to know of a state: the transaction id (32 bits) of its last change, 0 when it is not
-- known; and the chunk of a backfill that told its row, null when none did or when nobody needs to know it any more.
ALTER TABLE cdc.entity_states ADD COLUMN xid int NOT NULL DEFAULT 0, ADD COLUMN chunk bigint;

-- As cdc.read_states, with what merging needs. The older functions stay for silos of an older release.
CREATE FUNCTION cdc.read_entities(table_ids int[], keys text[])
RETURNS TABLE (place int, commit_lsn bigint, ordinal bigint, schema_version int, deleted bool, xid int, chunk bigint, snapshot text, fence bigint, "row" bytea)
LANGUAGE sql STABLE ROWS 500
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $body$
    SELECT asked.place::int, s.commit_lsn, s.ordinal, s.schema_version, s.deleted, s.xid, c.id, c.snapshot, c.fence, s."row"
    FROM unnest(table_ids, keys) WITH ORDINALITY AS asked (table_id, key, place)
    JOIN cdc.entity_states AS s ON s.table_id = asked.table_id AND s.key = asked.key
    LEFT JOIN cdc.backfill_chunks AS c ON c.id = s.chunk
$body$;

-- As cdc.find_states.
CREATE FUNCTION cdc.find_entities(table_ids int[], keys text[], most int)
RETURNS TABLE (place int, commit_lsn bigint, ordinal bigint, schema_version int, deleted bool, bytes int, xid int, chunk bigint, snapshot text, fence bigint, "row" bytea)
LANGUAGE sql STABLE ROWS 500
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $body$
    SELECT asked.place::int, s.commit_lsn, s.ordinal, s.schema_version, s.deleted, coalesce(octet_length(s."row"), 0), s.xid, c.id, c.snapshot, c.fence,
        CASE WHEN octet_length(s."row") <= most THEN s."row" END
    FROM unnest(table_ids, keys) WITH ORDINALITY AS asked (table_id, key, place)
    JOIN cdc.entity_states AS s ON s.table_id = asked.table_id AND s.key = asked.key
    LEFT JOIN cdc.backfill_chunks AS c ON c.id = s.chunk
$body$;

-- A row of a backfill has the version of a place in the stream, where a change may have been. Its header names its chunk.
DROP INDEX cdc.dead_letters_once;
CREATE UNIQUE INDEX dead_letters_once ON cdc.dead_letters (
    source, commit_lsn, ordinal, sink, table_name, hashtextextended(entity_key, 0), hashtextextended(topic, 0),
    (event_value IS NULL), occurrence, hashtextextended(CASE WHEN origin = 1 THEN coalesce(headers, '') ELSE '' END, 0));
