-- On which timeline of the server's log the position was confirmed, and where that timeline begins: a standby that was promoted, or a
-- server that was restored, goes on under the same system identifier with another timeline.
ALTER TABLE cdc.sources
    ADD COLUMN timeline bigint,
    ADD COLUMN timeline_begin bigint;
