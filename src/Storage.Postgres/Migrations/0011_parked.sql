-- Events that wait for a sink, in order: an entity at a sink has one row in parked_entities and its events in parked_events. "key_id" is
-- the entity's key in a form that fits into an index; "place" is the position among the events of the entity at the sink; "newest" is that
-- of the newest event that was parked, even if it has left.
CREATE TABLE cdc.parked_entities (
    source text NOT NULL,
    sink text NOT NULL,
    table_name text NOT NULL,
    key_id text COLLATE "C" NOT NULL,
    entity_key text NOT NULL,
    partition int NOT NULL,
    events int NOT NULL,
    bytes bigint NOT NULL,
    newest_place_lsn bigint NOT NULL,
    newest_place_ordinal bigint NOT NULL,
    newest_lsn bigint NOT NULL,
    newest_ordinal bigint NOT NULL,
    newest_part int NOT NULL,
    attempts int NOT NULL,
    first_tried_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    last_error text,
    blocked bool NOT NULL,
    PRIMARY KEY (source, sink, table_name, key_id)
);

CREATE INDEX parked_entities_of_partition ON cdc.parked_entities (source, partition);

CREATE TABLE cdc.parked_events (
    source text NOT NULL,
    sink text NOT NULL,
    table_name text NOT NULL,
    key_id text COLLATE "C" NOT NULL,
    place_lsn bigint NOT NULL,
    place_ordinal bigint NOT NULL,
    commit_lsn bigint NOT NULL,
    ordinal bigint NOT NULL,
    part int NOT NULL,
    topic text NOT NULL,
    event_key bytea,
    event_value bytea,
    headers text,
    schema_version int NOT NULL,
    bytes int NOT NULL,
    parked_at timestamptz NOT NULL,
    PRIMARY KEY (source, sink, table_name, key_id, place_lsn, place_ordinal, commit_lsn, ordinal, part)
);
