-- Journals: of each table that has one, all its changes. A journal is a sequence of segments. A segment is a table of its own, with the
-- changes of a range of the log (by commit LSN); the newest one has no upper end. Retention deletes whole segments, the oldest first. A
-- change belongs to one segment for ever, so its primary key there knows it again when a checkpoint is repeated. After an accepted gap,
-- the log may begin anew at lower positions: then a new era begins, with segments of its own. Numbers of segments are in the order of time.
CREATE TABLE cdc.journals (
    table_id int PRIMARY KEY REFERENCES cdc.tables,
    era int NOT NULL DEFAULT 1,
    segments int NOT NULL DEFAULT 0,
    most_age interval,
    most_bytes bigint
);

-- "first_micros" and "last_micros" bound the commit times, rounded to minutes, so that they are seldom written. "bytes" is the last measure.
CREATE TABLE cdc.journal_segments (
    table_id int NOT NULL REFERENCES cdc.journals,
    number int NOT NULL,
    era int NOT NULL,
    from_lsn bigint NOT NULL,
    to_lsn bigint,
    first_micros bigint,
    last_micros bigint,
    bytes bigint NOT NULL DEFAULT 0,
    begun_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (table_id, number)
);

-- What a segment looks like. It has no rows itself. An operation is that of the model; 5 is a truncation, which concerns all entities.
CREATE TABLE cdc.journal_rows (
    commit_lsn bigint NOT NULL,
    ordinal bigint NOT NULL,
    commit_micros bigint NOT NULL,
    xid bigint NOT NULL,
    lsn bigint NOT NULL,
    previous_lsn bigint NOT NULL,
    origin_lsn bigint,
    schema_version int NOT NULL,
    before_schema int,
    total_order int,
    table_order int,
    operation smallint NOT NULL,
    before_is_key bool NOT NULL,
    has_omitted bool NOT NULL,
    entity_key text COLLATE "C" NOT NULL,
    origin text,
    before bytea,
    after bytea,
    other bytea,
    PRIMARY KEY (commit_lsn, ordinal)
);

CREATE INDEX journal_rows_by_entity ON cdc.journal_rows (hashtextextended(entity_key, 0), commit_lsn, ordinal);
CREATE INDEX journal_rows_truncations ON cdc.journal_rows (commit_lsn, ordinal) WHERE operation = 5;

CREATE FUNCTION cdc.journal_segment(of_table int, number int) RETURNS text
LANGUAGE sql IMMUTABLE
AS $body$ SELECT 'journal_' || of_table || '_' || number $body$;

-- Shared by who appends, exclusive for who changes the segments. As with the epoch's lock, the queue is fair.
CREATE FUNCTION cdc.journal_lock(of_table int) RETURNS bigint
LANGUAGE sql IMMUTABLE
AS $body$ SELECT hashtextextended('cdc.journal/' || of_table, 0) $body$;

CREATE FUNCTION cdc.add_journal_segment(of_table int, since_lsn bigint) RETURNS void
LANGUAGE plpgsql
AS $body$
DECLARE
    added cdc.journals;
BEGIN
    UPDATE cdc.journals AS j SET segments = j.segments + 1 WHERE j.table_id = of_table RETURNING j.* INTO added;
    INSERT INTO cdc.journal_segments (table_id, number, era, from_lsn) VALUES (of_table, added.segments, added.era, since_lsn);
    EXECUTE format('CREATE TABLE cdc.%I (LIKE cdc.journal_rows INCLUDING ALL)', cdc.journal_segment(of_table, added.segments));
END
$body$;

CREATE FUNCTION cdc.has_open_segment(of_table int) RETURNS bool
LANGUAGE sql
AS $body$
    SELECT EXISTS (
        SELECT FROM cdc.journal_segments AS s JOIN cdc.journals AS j USING (table_id, era)
        WHERE s.table_id = of_table AND s.to_lsn IS NULL)
$body$;

-- Makes the first segment of a journal, or of an era of it. Who comes at the same time waits, and then finds it.
CREATE FUNCTION cdc.begin_journal(of_table int) RETURNS void
LANGUAGE plpgsql
AS $body$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('cdc.journal.begin/' || of_table, 0));
    IF NOT cdc.has_open_segment(of_table) THEN
        INSERT INTO cdc.journals (table_id) VALUES (of_table) ON CONFLICT DO NOTHING;
        PERFORM cdc.add_journal_segment(of_table, 0);
    END IF;
END
$body$;

-- Appends changes of one table, which are in the order of their versions. Those that are there already, and those of segments that
-- retention has deleted, are left out. Relies on READ COMMITTED: what is read after a lock is newer than the lock.
CREATE FUNCTION cdc.append_journal(
    of_table int, commit_lsns bigint[], ordinals bigint[], micros bigint[], xids bigint[], lsns bigint[], previous_lsns bigint[],
    origin_lsns bigint[], schema_versions int[], before_schemas int[], total_orders int[], table_orders int[], operations smallint[],
    before_is_key bool[], has_omitted bool[], keys text[], origins text[], befores bytea[], afters bytea[], others bytea[]) RETURNS void
LANGUAGE plpgsql
AS $body$
DECLARE
    lowest bigint := commit_lsns[1];
    highest bigint := commit_lsns[cardinality(commit_lsns)];
    earliest bigint;
    latest bigint;
    segment record;
BEGIN
    IF NOT cdc.has_open_segment(of_table) THEN
        PERFORM cdc.begin_journal(of_table);
    END IF;
    PERFORM pg_advisory_xact_lock_shared(cdc.journal_lock(of_table));
    SELECT min(m) / 60000000 * 60000000, (max(m) / 60000000 + 1) * 60000000 INTO earliest, latest FROM unnest(micros) AS m;

    FOR segment IN
        SELECT s.* FROM cdc.journal_segments AS s JOIN cdc.journals AS j USING (table_id, era)
        WHERE s.table_id = of_table AND s.from_lsn <= highest AND (s.to_lsn IS NULL OR s.to_lsn > lowest)
        ORDER BY s.number
    LOOP
        EXECUTE format(
            $insert$
            INSERT INTO cdc.%I (commit_lsn, ordinal, commit_micros, xid, lsn, previous_lsn, origin_lsn, schema_version, before_schema,
                total_order, table_order, operation, before_is_key, has_omitted, entity_key, origin, before, after, other)
            SELECT given.*
            FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) AS given (commit_lsn)
            WHERE given.commit_lsn >= $20 AND ($21 IS NULL OR given.commit_lsn < $21)
            ON CONFLICT DO NOTHING
            $insert$, cdc.journal_segment(of_table, segment.number))
        USING commit_lsns, ordinals, micros, xids, lsns, previous_lsns, origin_lsns, schema_versions, before_schemas, total_orders,
            table_orders, operations, before_is_key, has_omitted, keys, origins, befores, afters, others, segment.from_lsn, segment.to_lsn;
        IF segment.first_micros IS NULL OR earliest < segment.first_micros OR latest > segment.last_micros THEN
            UPDATE cdc.journal_segments AS s SET first_micros = least(s.first_micros, earliest), last_micros = greatest(s.last_micros, latest)
            WHERE s.table_id = of_table AND s.number = segment.number;
        END IF;
    END LOOP;
END
$body$;

-- Ends the newest segment behind its last change, and begins the next one. Changes that come late still go to the ended one.
CREATE FUNCTION cdc.roll_journal(of_table int, number int) RETURNS void
LANGUAGE plpgsql
AS $body$
DECLARE
    newest bigint;
BEGIN
    EXECUTE format('SELECT max(commit_lsn) FROM cdc.%I', cdc.journal_segment(of_table, number)) INTO newest;
    IF newest IS NOT NULL THEN
        UPDATE cdc.journal_segments AS s SET to_lsn = newest + 1 WHERE s.table_id = of_table AND s.number = roll_journal.number;
        PERFORM cdc.add_journal_segment(of_table, newest + 1);
    END IF;
END
$body$;

-- Looks after a journal: measures it, ends the newest segment at an eighth of a bound, and deletes the oldest ones beyond a bound. Answers
-- how many it deleted; null while another silo sweeps. Appends wait meanwhile, and so it does not wait long itself.
CREATE FUNCTION cdc.sweep_journal(of_table int, age interval, most_size bigint) RETURNS int
LANGUAGE plpgsql
AS $body$
DECLARE
    bounds cdc.journals;
    segment record;
    total bigint;
    deleted int := 0;
BEGIN
    IF NOT cdc.may_sweep() THEN
        RETURN NULL;
    END IF;
    PERFORM set_config('lock_timeout', '1s', true);
    PERFORM pg_advisory_xact_lock(cdc.journal_lock(of_table));
    IF age IS NOT NULL OR most_size IS NOT NULL THEN
        UPDATE cdc.journals AS j SET most_age = age, most_bytes = most_size
        WHERE j.table_id = of_table AND (j.most_age IS DISTINCT FROM age OR j.most_bytes IS DISTINCT FROM most_size);
    END IF;
    SELECT * INTO bounds FROM cdc.journals AS j WHERE j.table_id = of_table;
    UPDATE cdc.journal_segments AS s SET bytes = measured.size
    FROM (
        SELECT m.number, pg_total_relation_size(format('cdc.%I', cdc.journal_segment(of_table, m.number))) AS size
        FROM cdc.journal_segments AS m WHERE m.table_id = of_table) AS measured
    WHERE s.table_id = of_table AND s.number = measured.number AND s.bytes <> measured.size;

    FOR segment IN
        SELECT * FROM cdc.journal_segments AS s
        WHERE s.table_id = of_table AND s.to_lsn IS NULL AND s.first_micros IS NOT NULL
            AND (s.bytes >= bounds.most_bytes / 8 OR s.begun_at < now() - bounds.most_age / 8)
    LOOP
        PERFORM cdc.roll_journal(of_table, segment.number);
    END LOOP;

    SELECT sum(s.bytes) INTO total FROM cdc.journal_segments AS s WHERE s.table_id = of_table;
    FOR segment IN SELECT * FROM cdc.journal_segments AS s WHERE s.table_id = of_table AND s.to_lsn IS NOT NULL ORDER BY s.number LOOP
        CONTINUE WHEN NOT coalesce(total > bounds.most_bytes, false)
            AND NOT coalesce(to_timestamp(coalesce(segment.last_micros, 0) / 1000000) < now() - bounds.most_age, false);
        DELETE FROM cdc.journal_segments AS s WHERE s.table_id = of_table AND s.number = segment.number;
        EXECUTE format('DROP TABLE cdc.%I', cdc.journal_segment(of_table, segment.number));
        total := total - segment.bytes;
        deleted := deleted + 1;
    END LOOP;
    RETURN deleted;
END
$body$;

-- Begins a new era of all journals of a source, because its log may begin anew.
CREATE FUNCTION cdc.begin_journal_era(of_source text, held_epoch bigint) RETURNS void
LANGUAGE plpgsql
AS $body$
BEGIN
    -- In the order of a checkpoint: journals by table, and then the epoch.
    PERFORM pg_advisory_xact_lock(cdc.journal_lock(j.table_id))
    FROM (SELECT j.table_id FROM cdc.journals AS j JOIN cdc.tables AS t USING (table_id) WHERE t.source = of_source ORDER BY j.table_id) AS j;
    PERFORM pg_advisory_xact_lock_shared(cdc.epoch_lock(of_source));
    IF NOT EXISTS (SELECT FROM cdc.sources AS s WHERE s.source = of_source AND s.epoch = held_epoch) THEN
        RETURN;
    END IF;
    UPDATE cdc.journal_segments AS s SET to_lsn = 9223372036854775807
    FROM cdc.tables AS t WHERE t.source = of_source AND s.table_id = t.table_id AND s.to_lsn IS NULL;
    UPDATE cdc.journals AS j SET era = j.era + 1
    FROM cdc.tables AS t WHERE t.source = of_source AND j.table_id = t.table_id;
END
$body$;
