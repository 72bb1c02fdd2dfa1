-- Fence and progress of a checkpoint, or of a part of one, in one statement. It comes last: others wait for a checkpoint only while this
-- statement and the commit run, and not while states are on their way. A part that is not the last has the progress zero.
CREATE FUNCTION cdc.advance(
    of_source text, held_epoch bigint, held_partitions int[], held_generations bigint[],
    progress_lsns bigint[], progress_ordinals bigint[], high_lsns bigint[], high_ordinals bigint[]) RETURNS void
LANGUAGE plpgsql
AS $body$
BEGIN
    PERFORM cdc.fence(of_source, held_epoch, held_partitions, held_generations);

    -- SET reads the old values of the row, so the ordinals are compared with the position before this update.
    UPDATE cdc.partitions AS stored SET
        progress_ordinal = CASE
            WHEN given.progress_lsn > stored.progress_lsn THEN given.progress_ordinal
            WHEN given.progress_lsn = stored.progress_lsn THEN greatest(given.progress_ordinal, stored.progress_ordinal)
            ELSE stored.progress_ordinal END,
        progress_lsn = greatest(given.progress_lsn, stored.progress_lsn),
        high_ordinal = CASE
            WHEN given.high_lsn > stored.high_lsn THEN given.high_ordinal
            WHEN given.high_lsn = stored.high_lsn THEN greatest(given.high_ordinal, stored.high_ordinal)
            ELSE stored.high_ordinal END,
        high_lsn = greatest(given.high_lsn, stored.high_lsn),
        updated_at = now()
    FROM unnest(held_partitions, progress_lsns, progress_ordinals, high_lsns, high_ordinals)
        AS given (partition, progress_lsn, progress_ordinal, high_lsn, high_ordinal)
    WHERE stored.source = of_source AND stored.partition = given.partition;
END
$body$;

-- Since when a state is a delete marker. Markers of earlier releases, and of silos that still run one, get it from the first sweep that
-- sees them. The index has only markers: an update of a row that lives touches none of its columns, so it stays on its page (HOT).
ALTER TABLE cdc.entity_states ADD COLUMN deleted_at timestamptz;

CREATE INDEX entity_states_deleted ON cdc.entity_states (deleted_at) WHERE deleted;

CREATE INDEX dead_letters_by_age ON cdc.dead_letters (failed_at);

-- The sweep's lock: one silo sweeps at a time. It is held until the end of the transaction.
CREATE FUNCTION cdc.may_sweep() RETURNS bool
LANGUAGE sql
AS $body$ SELECT pg_try_advisory_xact_lock(hashtextextended('cdc.sweep', 0)) $body$;

-- Deletes delete markers of a certain age; null while another silo sweeps. A marker may go only when its change is before the confirmed
-- position of its source: everything up to there is finished in every partition, so no older change of the entity can be applied any
-- more. (The confirmed position is the end of a commit record, where another one may begin; hence "less than".) Rows that a checkpoint
-- has locked are left for the next sweep. A function of its own for its settings: the planner could take the table for small and read
-- it whole.
CREATE FUNCTION cdc.purge_delete_markers(age interval, most int) RETURNS int
LANGUAGE plpgsql
SET enable_seqscan = off
AS $body$
DECLARE
    purged int;
BEGIN
    IF NOT cdc.may_sweep() THEN
        RETURN NULL;
    END IF;

    UPDATE cdc.entity_states AS stored SET deleted_at = now()
    FROM (
        SELECT s.table_id, s.key FROM cdc.entity_states AS s
        WHERE s.deleted AND s.deleted_at IS NULL
        LIMIT 10 * most FOR UPDATE SKIP LOCKED) AS unmarked
    WHERE stored.table_id = unmarked.table_id AND stored.key = unmarked.key;

    DELETE FROM cdc.entity_states AS stored
    USING (
        SELECT s.table_id, s.key FROM cdc.entity_states AS s
        JOIN cdc.tables AS t ON t.table_id = s.table_id
        JOIN cdc.sources AS o ON o.source = t.source
        WHERE s.deleted AND s.deleted_at < now() - age AND s.commit_lsn < o.confirmed_lsn
        ORDER BY s.deleted_at
        LIMIT most FOR UPDATE OF s SKIP LOCKED) AS due
    WHERE stored.table_id = due.table_id AND stored.key = due.key AND stored.deleted;
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN purged;
END
$body$;

-- Deletes dead letters of a certain age; null while another silo sweeps.
CREATE FUNCTION cdc.purge_dead_letters(age interval, most int) RETURNS int
LANGUAGE plpgsql
SET enable_seqscan = off
AS $body$
DECLARE
    purged int;
BEGIN
    IF NOT cdc.may_sweep() THEN
        RETURN NULL;
    END IF;

    DELETE FROM cdc.dead_letters AS stored
    USING (
        SELECT d.id FROM cdc.dead_letters AS d
        WHERE d.failed_at < now() - age
        ORDER BY d.failed_at
        LIMIT most FOR UPDATE SKIP LOCKED) AS due
    WHERE stored.id = due.id;
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN purged;
END
$body$;
