CREATE TABLE base (id int PRIMARY KEY, v text); CREATE TABLE derived (extra int) INHERITS (base); ALTER TABLE derived ADD PRIMARY KEY (id)

CREATE TABLE logged (id int PRIMARY KEY, v text); CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY, v text)

CREATE VIEW seen AS SELECT * FROM base; CREATE MATERIALIZED VIEW kept AS SELECT * FROM base

-- run

INSERT INTO base VALUES (1, 'base'); INSERT INTO derived VALUES (2, 'derived', 20)

UPDATE base SET v = v || '!'

INSERT INTO seen VALUES (3, 'through a view')

REFRESH MATERIALIZED VIEW kept

DELETE FROM base WHERE id < 3

INSERT INTO unlogged VALUES (1, 'not in the log'); UPDATE unlogged SET v = 'x'; INSERT INTO logged SELECT * FROM unlogged

CREATE TEMPORARY TABLE scratch (id int PRIMARY KEY); INSERT INTO scratch VALUES (1); INSERT INTO logged SELECT id + 1, 'scratch' FROM scratch

CREATE SEQUENCE numbers; SELECT nextval('numbers'); SELECT lo_create(0)

-- settle

ALTER TABLE base ADD w int

UPDATE base SET w = 3

ALTER TABLE derived NO INHERIT base

INSERT INTO derived VALUES (4, 'alone', 40, 4)
