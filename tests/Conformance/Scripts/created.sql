-- differs: public.gone null: 2 events that we do not have
-- differs: public.gone {"id":1}: 2 events that they do not have

CREATE TABLE first (id int PRIMARY KEY, v text)

CREATE PUBLICATION ours FOR ALL TABLES WITH (publish_via_partition_root = true)

-- run

INSERT INTO first VALUES (1, 'one')

CREATE TABLE later (id int PRIMARY KEY, v text); INSERT INTO later VALUES (1, 'at once')

BEGIN; CREATE TABLE within (id int PRIMARY KEY, v text); INSERT INTO within VALUES (1, 'in the transaction that made it'), (2, 'two'); UPDATE within SET v = 'dos' WHERE id = 2; COMMIT

BEGIN; CREATE TABLE undone (id int PRIMARY KEY); INSERT INTO undone VALUES (1); ROLLBACK

CREATE SCHEMA apart; CREATE TABLE apart.later (LIKE later INCLUDING ALL); INSERT INTO apart.later SELECT * FROM later

BEGIN; CREATE TABLE selected AS SELECT id, v FROM later; ALTER TABLE selected ADD PRIMARY KEY (id); INSERT INTO selected VALUES (2, 'more'); COMMIT

-- settle

UPDATE later SET v = 'changed'; DELETE FROM apart.later; UPDATE within SET id = 3 WHERE id = 1; DELETE FROM selected

-- settle

DROP SCHEMA apart CASCADE; DROP TABLE within, selected

INSERT INTO later VALUES (2, 'still here')

-- stop

CREATE TABLE meanwhile (id int PRIMARY KEY, v text); INSERT INTO meanwhile VALUES (1, 'while nobody read'); UPDATE meanwhile SET v = 'twice'

CREATE TABLE gone (v text, id int PRIMARY KEY); INSERT INTO gone VALUES ('x', 1); UPDATE gone SET v = 'y'; DROP TABLE gone

-- start

DELETE FROM meanwhile
