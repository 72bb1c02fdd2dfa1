-- Answers as cdc.read_states does, but rows only up to a size, and the size of every row. The size of a stored value is known without
-- reading it. Who has room for a large row then reads it by itself.
CREATE FUNCTION cdc.find_states(table_ids int[], keys text[], most int)
RETURNS TABLE (place int, commit_lsn bigint, ordinal bigint, schema_version int, deleted bool, bytes int, "row" bytea)
LANGUAGE sql STABLE ROWS 500
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $body$
    SELECT asked.place::int, s.commit_lsn, s.ordinal, s.schema_version, s.deleted, coalesce(octet_length(s."row"), 0),
        CASE WHEN octet_length(s."row") <= most THEN s."row" END
    FROM unnest(table_ids, keys) WITH ORDINALITY AS asked (table_id, key, place)
    JOIN cdc.entity_states AS s ON s.table_id = asked.table_id AND s.key = asked.key
$body$;
