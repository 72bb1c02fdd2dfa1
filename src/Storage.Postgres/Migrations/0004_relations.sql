-- What each relation has stood for, from which version of the log on: read again, a change has the table and the key that it had.
CREATE TABLE cdc.relations (
    source text NOT NULL,
    relation_oid bigint NOT NULL,
    commit_lsn bigint NOT NULL,
    ordinal bigint NOT NULL,
    table_id int NOT NULL,
    schema_version int NOT NULL,
    entities text NOT NULL,
    forgotten int[] NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, relation_oid, commit_lsn, ordinal),
    FOREIGN KEY (table_id, schema_version) REFERENCES cdc.table_schemas
);

CREATE INDEX relations_by_table ON cdc.relations (source, table_id, commit_lsn, ordinal);
