CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN amount AS numeric(6,2)

CREATE TABLE item (id int PRIMARY KEY, a int, b text, m mood, x amount)

-- run

INSERT INTO item VALUES (1, 1, 'one', 'sad', 1.5), (2, 2, 'two', 'ok', NULL)

-- settle

BEGIN; UPDATE item SET a = 10 WHERE id = 1; ALTER TABLE item ADD d text DEFAULT 'given'; UPDATE item SET a = 11 WHERE id = 1; INSERT INTO item VALUES (3, 3, 'three', 'ok', 3, 'own'); COMMIT

-- settle

BEGIN; INSERT INTO item VALUES (4, 4, 'four', 'ok', 4, 'd'); ALTER TABLE item DROP b; INSERT INTO item VALUES (5, 5, 'sad', 5, 'd'); COMMIT

-- settle

BEGIN; UPDATE item SET a = 12 WHERE id = 1; ALTER TABLE item RENAME d TO given; UPDATE item SET a = 13 WHERE id = 1; COMMIT

-- settle

BEGIN; UPDATE item SET a = 14 WHERE id = 1; ALTER TABLE item ALTER a TYPE text USING 'n' || a; UPDATE item SET a = 'text' WHERE id = 1; COMMIT

-- settle

BEGIN; ALTER TABLE item ADD undone int; INSERT INTO item VALUES (6, 'six', 'ok', 6, 'd', 6); ROLLBACK

BEGIN; SAVEPOINT s; ALTER TABLE item ADD undone int; UPDATE item SET undone = 1; ROLLBACK TO s; UPDATE item SET given = 'kept' WHERE id = 2; COMMIT

ALTER TYPE mood ADD VALUE 'happy' BEFORE 'ok'

INSERT INTO item VALUES (7, 'seven', 'happy', 7, 'd')

-- settle

ALTER TYPE mood RENAME VALUE 'happy' TO 'glad'

UPDATE item SET m = 'glad'

-- settle

ALTER TABLE item ALTER x TYPE numeric(12,4)

UPDATE item SET x = 1.2345 WHERE id = 1

-- settle

ALTER TABLE item ALTER given SET NOT NULL, ALTER given SET DEFAULT 'other'; ALTER TABLE item ALTER x SET DEFAULT 9; CREATE INDEX ON item (a); ALTER TABLE item SET (fillfactor = 50)

INSERT INTO item (id) VALUES (8)

VACUUM FULL item

CLUSTER item USING item_pkey

UPDATE item SET a = 'after' WHERE id = 8

-- settle

ALTER TABLE item ADD doubled int GENERATED ALWAYS AS (id * 2) STORED, ADD big bigint GENERATED ALWAYS AS IDENTITY, ADD tags text[] DEFAULT '{a,b}'

UPDATE item SET a = 'last' WHERE id = 8

ALTER TABLE item ALTER given DROP DEFAULT, ALTER x DROP DEFAULT

-- settle

DELETE FROM item
