-- Who owns what, and how far it is. LSNs are byte offsets.
CREATE TABLE cdc.sources (
    source text PRIMARY KEY,
    epoch bigint NOT NULL DEFAULT 0,
    owner text NOT NULL DEFAULT '',
    raised_at timestamptz,
    partitions int
);

CREATE TABLE cdc.partitions (
    source text NOT NULL,
    partition int NOT NULL,
    generation bigint NOT NULL,
    owner text NOT NULL,
    progress_lsn bigint NOT NULL DEFAULT 0,
    progress_ordinal bigint NOT NULL DEFAULT 0,
    high_lsn bigint NOT NULL DEFAULT 0,
    high_ordinal bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, partition)
) WITH (fillfactor = 25);

-- The epoch's lock: shared by checkpoints, exclusive for the reader that raises it. Row locks would do but for their queue, which lets
-- an unbroken chain of sharers keep the writer out for ever.
CREATE FUNCTION cdc.epoch_lock(of_source text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $body$ SELECT hashtextextended('cdc.epoch/' || of_source, 0) $body$;

CREATE FUNCTION cdc.raise_epoch(of_source text, new_owner text, after bigint) RETURNS bigint
LANGUAGE plpgsql
AS $body$
DECLARE
    raised bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(cdc.epoch_lock(of_source));
    IF after IS NOT NULL AND NOT EXISTS (SELECT FROM cdc.sources AS s WHERE s.source = of_source AND s.epoch = after) THEN
        RAISE EXCEPTION 'stale epoch' USING ERRCODE = 'CDC01';
    END IF;
    INSERT INTO cdc.sources AS s (source, epoch, owner, raised_at) VALUES (of_source, 1, new_owner, now())
    ON CONFLICT (source) DO UPDATE SET epoch = s.epoch + 1, owner = excluded.owner, raised_at = excluded.raised_at
    RETURNING s.epoch INTO raised;
    RETURN raised;
END
$body$;

-- Stops a transaction with SQLSTATE CDC01 unless epoch and generations are the current ones, and keeps them current until it ends.
-- Relies on READ COMMITTED: what is read after a lock is newer than the lock.
CREATE FUNCTION cdc.fence(of_source text, held_epoch bigint, held_partitions int[], held_generations bigint[]) RETURNS void
LANGUAGE plpgsql
AS $body$
DECLARE
    current_ones int;
BEGIN
    -- The slot is confirmed up to what a checkpoint holds, and then the log that could repeat it is gone: it must survive a crash.
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;

    PERFORM pg_advisory_xact_lock_shared(cdc.epoch_lock(of_source));
    IF NOT EXISTS (SELECT FROM cdc.sources AS s WHERE s.source = of_source AND s.epoch = held_epoch) THEN
        RAISE EXCEPTION 'stale epoch' USING ERRCODE = 'CDC01';
    END IF;

    SELECT count(*) INTO current_ones FROM (
        SELECT p.partition
        FROM unnest(held_partitions, held_generations) AS held (partition, generation)
        JOIN cdc.partitions AS p ON p.source = of_source AND p.partition = held.partition AND p.generation = held.generation
        ORDER BY p.partition
        FOR NO KEY UPDATE OF p) AS locked;
    IF current_ones <> cardinality(held_partitions) THEN
        RAISE EXCEPTION 'stale generation' USING ERRCODE = 'CDC01';
    END IF;
END
$body$;
