-- Sinks to which nothing is passed, because a person paused them.
CREATE TABLE cdc.paused_sinks (
    sink text PRIMARY KEY,
    who text NOT NULL,
    since timestamptz NOT NULL DEFAULT now()
);

-- Dead letters are counted by source, sink and table. The index has all that is counted.
CREATE INDEX dead_letters_by_table ON cdc.dead_letters (source, sink, table_name);

CREATE INDEX audit_by_age ON cdc.audit (at);

-- Deletes entries of the audit log of a certain age; null while another silo sweeps.
CREATE FUNCTION cdc.purge_audit(age interval, most int) RETURNS int
LANGUAGE plpgsql
SET enable_seqscan = off
AS $body$
DECLARE
    purged int;
BEGIN
    IF NOT cdc.may_sweep() THEN
        RETURN NULL;
    END IF;

    DELETE FROM cdc.audit AS stored
    USING (
        SELECT a.id FROM cdc.audit AS a
        WHERE a.at < now() - age
        ORDER BY a.at
        LIMIT most FOR UPDATE SKIP LOCKED) AS due
    WHERE stored.id = due.id;
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN purged;
END
$body$;
