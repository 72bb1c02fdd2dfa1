CREATE TABLE item (id int PRIMARY KEY, n int, note text)

CREATE TABLE stamped (id int PRIMARY KEY, n int, changes int NOT NULL DEFAULT 0); CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changes := OLD.changes + 1; RETURN NEW; END $$; CREATE TRIGGER stamp BEFORE UPDATE ON stamped FOR EACH ROW EXECUTE FUNCTION stamp()

CREATE TABLE tree (id int PRIMARY KEY, up int REFERENCES tree ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED)

-- run

COPY item FROM PROGRAM 'printf "1\t1\tcopied\n2\t2\t\\\\N\n3\t3\tx\n"'

INSERT INTO item SELECT i, i, 'many' FROM generate_series(100, 399) AS i

BEGIN; INSERT INTO item VALUES (50, 0, 'short'); UPDATE item SET n = 1 WHERE id = 50; DELETE FROM item WHERE id = 50; COMMIT

BEGIN; UPDATE item SET id = 51 WHERE id = 1; UPDATE item SET id = 52 WHERE id = 51; UPDATE item SET id = 1 WHERE id = 52; COMMIT

BEGIN; UPDATE item SET id = -1 WHERE id = 2; UPDATE item SET id = 2 WHERE id = 3; UPDATE item SET id = 3 WHERE id = -1; COMMIT

BEGIN; DELETE FROM item WHERE id = 3; INSERT INTO item VALUES (3, 33, 'again'); UPDATE item SET note = 'and again' WHERE id = 3; COMMIT

BEGIN; SAVEPOINT a; UPDATE item SET n = 100 WHERE id = 1; SAVEPOINT b; UPDATE item SET n = 200 WHERE id = 1; ROLLBACK TO b; UPDATE item SET n = 300 WHERE id = 1; ROLLBACK TO a; UPDATE item SET n = 400 WHERE id = 1; COMMIT

WITH gone AS (DELETE FROM item WHERE id BETWEEN 100 AND 102 RETURNING *) INSERT INTO item SELECT id + 1000, n, note FROM gone

INSERT INTO item VALUES (60, 1, 'a'), (61, 1, 'b') ON CONFLICT (id) DO UPDATE SET n = item.n + 1; INSERT INTO item VALUES (60, 1, 'a'), (62, 1, 'c') ON CONFLICT (id) DO UPDATE SET n = item.n + 1 WHERE item.n < 5

MERGE INTO item USING (VALUES (60, 'gone'), (61, 'left')) AS s (id, note) ON item.id = s.id WHEN MATCHED AND s.note = 'gone' THEN DELETE WHEN MATCHED THEN DO NOTHING

UPDATE item SET n = n, note = note WHERE id = 61; UPDATE item SET n = 5 WHERE id = 4711; SELECT * FROM item WHERE id = 61 FOR UPDATE

INSERT INTO stamped VALUES (1, 1); UPDATE stamped SET n = n; UPDATE stamped SET n = 2

INSERT INTO tree VALUES (1, 2), (2, 1), (3, 2); DELETE FROM tree WHERE id = 2

BEGIN; INSERT INTO item VALUES (70, 1, 'prepared'); UPDATE item SET n = 2 WHERE id = 61; PREPARE TRANSACTION 'kept'

BEGIN; INSERT INTO item VALUES (71, 1, 'prepared and undone'); PREPARE TRANSACTION 'undone'

INSERT INTO item VALUES (72, 1, 'between')

COMMIT PREPARED 'kept'

ROLLBACK PREPARED 'undone'

-- session long
BEGIN; INSERT INTO item VALUES (80, 1, 'long'); UPDATE item SET n = 80 WHERE id = 72

-- session other
BEGIN; INSERT INTO item VALUES (81, 1, 'other'); SAVEPOINT s; UPDATE item SET n = 2 WHERE id = 81

-- session long
UPDATE item SET n = 81 WHERE id = 72

-- session other
COMMIT

-- stop

INSERT INTO item VALUES (82, 1, 'while stopped')

-- session long
UPDATE item SET n = 3 WHERE id = 80

-- start

-- session other
BEGIN; UPDATE item SET n = 3 WHERE id = 81

-- session long
DELETE FROM item WHERE id = 82; COMMIT

-- session other
ROLLBACK

DELETE FROM item WHERE id >= 100
