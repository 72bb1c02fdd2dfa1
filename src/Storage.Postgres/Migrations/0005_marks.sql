-- How far the server was told that a source's log is done with, and which server that is.
ALTER TABLE cdc.sources
    ADD COLUMN system_identifier text,
    ADD COLUMN confirmed_lsn bigint,
    ADD COLUMN gap_accepted_at timestamptz;

-- For people: changes of a source that are missing from its log can be done without. The source then goes on from where its slot is,
-- and forgets what it held.
CREATE FUNCTION cdc.accept_gap(of_source text) RETURNS text
LANGUAGE plpgsql
AS $body$
BEGIN
    UPDATE cdc.sources SET gap_accepted_at = now() WHERE source = of_source;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no source "%"', of_source USING HINT = (SELECT 'The sources are: ' || coalesce(string_agg(source, ', ' ORDER BY source), 'none yet') || '.' FROM cdc.sources);
    END IF;
    RETURN format('Source %s goes on from its slot''s position within a minute, if that is asked of it within an hour.', of_source);
END
$body$;
