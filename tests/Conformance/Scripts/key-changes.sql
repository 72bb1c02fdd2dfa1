-- differs: public.stopped {"code":"b"}: 1 events that we do not have
-- differs: public.stopped {"id":2}: 1 events there (c), 2 here (cu)

CREATE TABLE running (id int PRIMARY KEY, code text NOT NULL, v int)

CREATE TABLE stopped (id int PRIMARY KEY, code text NOT NULL, v int)

CREATE TABLE identity (id int PRIMARY KEY, code text NOT NULL, v int)

-- run

INSERT INTO running VALUES (1, 'a', 1), (2, 'b', 2)

-- settle

ALTER TABLE running DROP CONSTRAINT running_pkey, ADD PRIMARY KEY (code)

UPDATE running SET v = 10 WHERE id = 1

INSERT INTO running VALUES (3, 'c', 3)

UPDATE running SET code = 'd' WHERE id = 3

DELETE FROM running WHERE id = 2

-- settle

ALTER TABLE running DROP CONSTRAINT running_pkey, ADD PRIMARY KEY (v, code)

UPDATE running SET id = 7 WHERE code = 'd'

-- settle

ALTER TABLE running RENAME code TO label

UPDATE running SET id = 8 WHERE label = 'd'

-- settle

ALTER TABLE running ALTER v TYPE bigint

UPDATE running SET id = 9 WHERE label = 'd'

DELETE FROM running

INSERT INTO identity VALUES (1, 'a', 1), (2, 'b', 2)

-- settle

ALTER TABLE identity REPLICA IDENTITY FULL

UPDATE identity SET v = 10 WHERE id = 1

UPDATE identity SET id = 3 WHERE id = 1

-- settle

ALTER TABLE identity REPLICA IDENTITY DEFAULT

UPDATE identity SET v = 11 WHERE id = 3

DELETE FROM identity

INSERT INTO stopped VALUES (1, 'a', 1), (2, 'b', 2)

-- stop

UPDATE stopped SET v = 20 WHERE id = 2

ALTER TABLE stopped DROP CONSTRAINT stopped_pkey, ADD PRIMARY KEY (code)

INSERT INTO stopped VALUES (3, 'c', 3)

-- start

UPDATE stopped SET v = 30 WHERE code = 'c'

DELETE FROM stopped WHERE code = 'a'
