-- Tables and their shapes. A shape never changes; a changed table takes the next version.
CREATE TABLE cdc.tables (
    table_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    name text NOT NULL,
    UNIQUE (source, name)
);

CREATE TABLE cdc.table_schemas (
    table_id int NOT NULL REFERENCES cdc.tables,
    version int NOT NULL,
    content jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (table_id, version)
);

-- The newest state of every entity. No index but the key's, and room on each page, so that updates stay on their page and touch no
-- index (HOT); the visibility of cold pages matters little, dead rows much, hence the eager autovacuum. Keys compare as bytes.
CREATE TABLE cdc.entity_states (
    table_id int NOT NULL,
    key text COLLATE "C" NOT NULL,
    commit_lsn bigint NOT NULL,
    ordinal bigint NOT NULL,
    schema_version int NOT NULL,
    deleted bool NOT NULL,
    "row" bytea,
    PRIMARY KEY (table_id, key)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

-- Answers the states that exist, with their place in the question. A function of its own for its settings: statistics are always behind
-- a table that grows this fast, and a planner that takes it for small would read it whole.
CREATE FUNCTION cdc.read_states(table_ids int[], keys text[])
RETURNS TABLE (place int, commit_lsn bigint, ordinal bigint, schema_version int, deleted bool, "row" bytea)
LANGUAGE sql STABLE ROWS 500
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $body$
    SELECT asked.place::int, s.commit_lsn, s.ordinal, s.schema_version, s.deleted, s."row"
    FROM unnest(table_ids, keys) WITH ORDINALITY AS asked (table_id, key, place)
    JOIN cdc.entity_states AS s ON s.table_id = asked.table_id AND s.key = asked.key
$body$;

-- Events given up on. The unique index knows an event again when a checkpoint, or the work before it, is repeated; what may be long is
-- in it as a hash. One change can give one sink an event and its tombstone, and one topic several events, told apart by "occurrence".
CREATE TABLE cdc.dead_letters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    table_name text NOT NULL,
    entity_key text NOT NULL,
    commit_lsn bigint NOT NULL,
    ordinal bigint NOT NULL,
    sink text NOT NULL,
    topic text NOT NULL,
    occurrence int NOT NULL,
    event_key bytea,
    event_value bytea,
    error text NOT NULL,
    failed_at timestamptz NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX dead_letters_once ON cdc.dead_letters (
    source, commit_lsn, ordinal, sink, table_name, hashtextextended(entity_key, 0), hashtextextended(topic, 0),
    (event_value IS NULL), occurrence);
