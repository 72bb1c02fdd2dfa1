CREATE TABLE item (id int PRIMARY KEY, n int NOT NULL DEFAULT 7, note text)

CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE)

CREATE TABLE audit (id serial PRIMARY KEY, what text); CREATE FUNCTION audited() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit (what) VALUES (TG_OP); RETURN NULL; END $$; CREATE TRIGGER audited AFTER INSERT OR UPDATE ON parent FOR EACH ROW EXECUTE FUNCTION audited()

CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY)

-- run

INSERT INTO item (id) VALUES (1), (2), (3)

BEGIN; UPDATE item SET n = 1 WHERE id = 1; UPDATE item SET n = 2 WHERE id = 1; DELETE FROM item WHERE id = 1; INSERT INTO item VALUES (1, 3, 'again'); COMMIT

BEGIN; SAVEPOINT a; INSERT INTO item VALUES (10, 1, 'undone'); ROLLBACK TO a; INSERT INTO item VALUES (11, 1, 'kept'); SAVEPOINT b; UPDATE item SET note = 'in b' WHERE id = 11; RELEASE b; COMMIT

BEGIN; INSERT INTO item VALUES (12, 1, 'never'); ROLLBACK

DO $$ BEGIN BEGIN INSERT INTO item VALUES (13, 1, 'sub'); RAISE EXCEPTION 'x'; EXCEPTION WHEN OTHERS THEN INSERT INTO item VALUES (14, 1, 'handler'); END; END $$

INSERT INTO item VALUES (2, 9, 'conflict') ON CONFLICT (id) DO UPDATE SET note = EXCLUDED.note

INSERT INTO item VALUES (2, 9, 'nothing') ON CONFLICT DO NOTHING

MERGE INTO item USING (VALUES (3, 'merged'), (20, 'new')) AS s (id, note) ON item.id = s.id WHEN MATCHED THEN UPDATE SET note = s.note WHEN NOT MATCHED THEN INSERT (id, note) VALUES (s.id, s.note)

UPDATE item SET note = note WHERE id = 3

INSERT INTO parent VALUES (1), (2)

INSERT INTO child VALUES (1, 1), (2, 1), (3, 2)

UPDATE parent SET id = 5 WHERE id = 1

DELETE FROM parent WHERE id = 5

INSERT INTO unlogged VALUES (1)

CREATE TEMPORARY TABLE scratch (id int PRIMARY KEY); INSERT INTO scratch VALUES (1)

DELETE FROM item
