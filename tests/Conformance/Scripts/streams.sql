CREATE TABLE plain (id int PRIMARY KEY, n int NOT NULL DEFAULT 7, note text);
CREATE TABLE other (id int PRIMARY KEY);
CREATE TABLE child (id int PRIMARY KEY, plain_id int REFERENCES plain)

-- run

BEGIN; INSERT INTO plain VALUES (1, 1, 'a'), (2, 2, 'b'); INSERT INTO other VALUES (1); UPDATE plain SET n = 3 WHERE id = 1; UPDATE plain SET id = 3 WHERE id = 2; DELETE FROM other; COMMIT

SELECT pg_logical_emit_message(true, 'note', 'a transactional message by itself')

SELECT pg_logical_emit_message(false, 'alone', 'outside transactions')

BEGIN; INSERT INTO other VALUES (2); SELECT pg_logical_emit_message(true, 'note', 'among rows: héé'); INSERT INTO other VALUES (3); COMMIT

SELECT pg_logical_emit_message(true, 'binary', decode('00ff7f80', 'hex'))

SELECT pg_logical_emit_message(true, '', ''), pg_logical_emit_message(false, 'empty', '')

BEGIN; SELECT pg_logical_emit_message(true, 'note', 'never committed'); ROLLBACK

BEGIN; SELECT pg_logical_emit_message(false, 'alone', 'outside a transaction that is rolled back'); ROLLBACK

TRUNCATE other

BEGIN; INSERT INTO plain VALUES (10, 10, NULL); TRUNCATE plain, other CASCADE; INSERT INTO plain VALUES (11, 11, NULL); COMMIT

INSERT INTO child VALUES (1, 11)

TRUNCATE plain RESTART IDENTITY CASCADE

INSERT INTO plain VALUES (11, 12, NULL)

SELECT pg_replication_origin_create('elsewhere-' || current_database())

SELECT pg_replication_origin_session_setup('elsewhere-' || current_database()); BEGIN; SELECT pg_replication_origin_xact_setup('0/ABCDEF', '2024-01-01 00:00:00+00'); INSERT INTO plain VALUES (20, 20, 'from elsewhere'); COMMIT; SELECT pg_replication_origin_session_reset()

SELECT pg_replication_origin_drop('elsewhere-' || current_database())
