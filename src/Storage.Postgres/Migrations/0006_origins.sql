-- What the stored rows of a relation depend on besides its changes: rows may have changed without an event when it is another.
ALTER TABLE cdc.relations
    ADD COLUMN origin_files text,
    ADD COLUMN origin_publication text,
    ADD COLUMN origin_seen bigint NOT NULL DEFAULT 0;

-- What each relation was last seen to depend on, and a position of the log at which it was so already.
CREATE TABLE cdc.origins (
    source text NOT NULL,
    relation_oid bigint NOT NULL,
    files text NOT NULL,
    publication text NOT NULL,
    seen bigint NOT NULL,
    PRIMARY KEY (source, relation_oid)
);
