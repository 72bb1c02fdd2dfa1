-- Replays: rows that are sent again to one sink. "run" rises whenever a silo begins to run the replay, so one that ran it before writes no
-- progress any more. "waiting" says what it waits for.
CREATE TABLE cdc.replays (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    sink text NOT NULL,
    rows_from text NOT NULL,
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

CREATE INDEX replays_running ON cdc.replays (id) WHERE state = 'running';

-- The tables of a replay in their order, with the progress: "after_key" is the last stored key that is done; null before the first.
-- "is_begun" shows that what was not durable at the beginning is done. "is_open" ends with the replay.
CREATE TABLE cdc.replay_tables (
    replay_id bigint NOT NULL REFERENCES cdc.replays ON DELETE CASCADE,
    place int NOT NULL,
    source text NOT NULL,
    sink text NOT NULL,
    table_name text NOT NULL,
    keys text[],
    rows_total bigint NOT NULL,
    is_begun bool NOT NULL DEFAULT false,
    after_key text COLLATE "C",
    is_done bool NOT NULL DEFAULT false,
    rows_done bigint NOT NULL DEFAULT 0,
    sent bigint NOT NULL DEFAULT 0,
    absent bigint NOT NULL DEFAULT 0,
    without_row bigint NOT NULL DEFAULT 0,
    parked bigint NOT NULL DEFAULT 0,
    refused bigint NOT NULL DEFAULT 0,
    is_open bool NOT NULL DEFAULT true,
    PRIMARY KEY (replay_id, place)
);

-- One replay of a table to a sink at a time.
CREATE UNIQUE INDEX replay_tables_open ON cdc.replay_tables (source, sink, table_name) WHERE is_open;
