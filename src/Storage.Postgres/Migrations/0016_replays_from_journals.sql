-- Replays from a journal: which changes are sent. The lower bounds are included, the upper ones are not.
ALTER TABLE cdc.replays
    ADD COLUMN since_micros bigint,
    ADD COLUMN until_micros bigint,
    ADD COLUMN since_lsn bigint,
    ADD COLUMN until_lsn bigint;

-- Why a parked event is sent: 2 for a replay; 3, a redelivery, for all others.
ALTER TABLE cdc.parked_events ADD COLUMN origin smallint NOT NULL DEFAULT 3;
