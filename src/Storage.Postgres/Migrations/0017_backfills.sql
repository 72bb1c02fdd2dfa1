-- Backfills: existing rows of tables that are read at the source while changes go on. "run" rises whenever a silo begins to run the
-- backfill, so one that ran it before writes no progress any more. "waiting" says what it waits for.
CREATE TABLE cdc.backfills (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('initial', 'rows', 'repair', 'verify')),
    patterns text[] NOT NULL,
    rate int NOT NULL,
    state text NOT NULL CHECK (state IN ('running', 'paused', 'done', 'cancelled', 'failed')),
    error text,
    waiting text,
    speed double precision NOT NULL DEFAULT 0,
    who text NOT NULL,
    run bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);

CREATE INDEX backfills_running ON cdc.backfills (id) WHERE state = 'running';

-- The tables of a backfill in their order, with the progress. Null in "filter", "column_names" and "keys" means all. "read_to" is the
-- place up to which rows are read and merged, "swept_to" the last stored key whose row was looked for; null before the first. "again"
-- has keys whose rows must be read again. "is_open" ends with the backfill.
CREATE TABLE cdc.backfill_tables (
    backfill_id bigint NOT NULL REFERENCES cdc.backfills ON DELETE CASCADE,
    place int NOT NULL,
    source text NOT NULL,
    table_name text NOT NULL,
    relation_oid bigint NOT NULL,
    filter text,
    column_names text[],
    keys text[],
    rows_total bigint NOT NULL,
    read_to text,
    is_read bool NOT NULL,
    swept_to text,
    again text[] NOT NULL,
    is_done bool NOT NULL,
    rows_done bigint NOT NULL,
    sent bigint NOT NULL,
    unchanged bigint NOT NULL,
    created bigint NOT NULL,
    updated bigint NOT NULL,
    deleted bigint NOT NULL,
    parked bigint NOT NULL,
    refused bigint NOT NULL,
    error text,
    is_open bool NOT NULL DEFAULT true,
    PRIMARY KEY (backfill_id, place)
);

-- One backfill of a table at a time.
CREATE UNIQUE INDEX backfill_tables_open ON cdc.backfill_tables (source, table_name) WHERE is_open;

-- Which tables have had an initial backfill. They are known for ever: ended backfills are deleted, and their tables are not read again.
-- "after_gap" shows that changes are missing since, and that no repair has been added yet.
CREATE TABLE cdc.initial_backfills (
    source text NOT NULL,
    table_name text NOT NULL,
    added_at timestamptz NOT NULL DEFAULT now(),
    after_gap bool NOT NULL DEFAULT false,
    PRIMARY KEY (source, table_name)
);

-- The snapshots of the chunks that stored states may refer to. "fence" is the end of the log that was read after the snapshot was taken.
-- "confirmed_before" is the confirmed position of the source when the chunk was added; null without one.
CREATE TABLE cdc.backfill_chunks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    snapshot text NOT NULL,
    fence bigint NOT NULL,
    confirmed_before bigint
);

CREATE INDEX backfill_chunks_by_fence ON cdc.backfill_chunks (source, fence);

-- The highest fence of all chunks of a source, also of those that are deleted.
CREATE TABLE cdc.backfill_fences (
    source text PRIMARY KEY,
    fence bigint NOT NULL
);

-- Adds a chunk and answers its number. Deletes the chunks of the source that its confirmed position has passed: all that commits before
-- the position is finished and durable, so no state needs to know what such a chunk includes. A position that was there before the chunk
-- may belong to another log, because its reader has not found yet that the server is another one. So it counts when it has moved.
CREATE FUNCTION cdc.add_backfill_chunk(of_source text, chunk_snapshot text, chunk_fence bigint) RETURNS bigint
LANGUAGE sql
AS $body$
    INSERT INTO cdc.backfill_fences AS f (source, fence) VALUES (of_source, chunk_fence)
    ON CONFLICT (source) DO UPDATE SET fence = excluded.fence WHERE f.fence < excluded.fence;

    DELETE FROM cdc.backfill_chunks AS stored
    USING (
        SELECT c.id FROM cdc.backfill_chunks AS c
        JOIN cdc.sources AS s ON s.source = c.source
        WHERE c.source = of_source AND c.fence <= s.confirmed_lsn AND s.confirmed_lsn IS DISTINCT FROM c.confirmed_before
        FOR UPDATE OF c SKIP LOCKED) AS passed
    WHERE stored.id = passed.id;

    INSERT INTO cdc.backfill_chunks (source, snapshot, fence, confirmed_before)
    VALUES (of_source, chunk_snapshot, chunk_fence, (SELECT s.confirmed_lsn FROM cdc.sources AS s WHERE s.source = of_source))
    RETURNING id;
$body$;
