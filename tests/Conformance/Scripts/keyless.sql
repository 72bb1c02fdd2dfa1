CREATE TABLE whole (n int, note text);
ALTER TABLE whole REPLICA IDENTITY FULL;
CREATE TABLE indexed (note text, b int NOT NULL, a int NOT NULL, CONSTRAINT z UNIQUE (note), CONSTRAINT k UNIQUE (a, b));
ALTER TABLE indexed REPLICA IDENTITY FULL;
CREATE TABLE differs_partly (id int, kind text);
CREATE UNIQUE INDEX differs_partly_k ON differs_partly (id) WHERE kind = 'x';
ALTER TABLE differs_partly REPLICA IDENTITY FULL;
CREATE TABLE nothing (id int PRIMARY KEY, note text);
ALTER TABLE nothing REPLICA IDENTITY NOTHING;
CREATE TABLE bare (n int, note text);
CREATE TABLE unique_only (a int NOT NULL, note text, UNIQUE (a));
CREATE TABLE differs_by_index (id int PRIMARY KEY, code text NOT NULL, note text);
CREATE UNIQUE INDEX differs_by_index_code ON differs_by_index (code);
ALTER TABLE differs_by_index REPLICA IDENTITY USING INDEX differs_by_index_code;
CREATE PUBLICATION ours FOR ALL TABLES WITH (publish_via_partition_root = true)

-- run

INSERT INTO whole VALUES (1, 'a'), (1, 'a'), (NULL, NULL)

UPDATE whole SET note = 'b' WHERE n = 1

DELETE FROM whole

INSERT INTO indexed VALUES ('a', 1, 2), ('b', 1, 3)

UPDATE indexed SET note = 'c' WHERE a = 2

UPDATE indexed SET a = 4 WHERE a = 3

DELETE FROM indexed

INSERT INTO differs_partly VALUES (1, 'x'), (1, 'y')

DELETE FROM differs_partly

INSERT INTO nothing VALUES (1, 'a')

INSERT INTO bare VALUES (1, 'a'), (1, 'a'), (NULL, NULL)

INSERT INTO unique_only VALUES (1, 'a'), (2, NULL)

INSERT INTO differs_by_index VALUES (1, 'a', 'x')

UPDATE differs_by_index SET note = 'y'

UPDATE differs_by_index SET code = 'b'

DELETE FROM differs_by_index
