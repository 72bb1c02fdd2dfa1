CREATE TABLE item (id int PRIMARY KEY, v text); CREATE TABLE moved (id int PRIMARY KEY, v text); CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY, w int)

CREATE SCHEMA elsewhere

-- run

INSERT INTO item VALUES (1, 'one'), (2, 'two'); INSERT INTO moved VALUES (1, 'one'), (2, 'two'); INSERT INTO a VALUES (1, 'of a'); INSERT INTO b VALUES (1, 1)

-- settle

ALTER TABLE item RENAME TO renamed

UPDATE renamed SET v = 'uno' WHERE id = 1

INSERT INTO renamed VALUES (3, 'tres')

DELETE FROM renamed WHERE id = 2

-- settle

ALTER TABLE moved SET SCHEMA elsewhere

UPDATE elsewhere.moved SET v = 'uno' WHERE id = 1

DELETE FROM elsewhere.moved WHERE id = 2

-- settle

ALTER SCHEMA elsewhere RENAME TO nowhere; ALTER TABLE nowhere.moved ADD note text

INSERT INTO nowhere.moved VALUES (3, 'tres')

-- settle

BEGIN; ALTER TABLE a RENAME TO c; ALTER TABLE b RENAME TO a; ALTER TABLE c RENAME TO b; COMMIT

UPDATE a SET w = 2; UPDATE b SET v = 'in b'

INSERT INTO a VALUES (2, 2); INSERT INTO b VALUES (2, 'two'); DELETE FROM a; DELETE FROM b
