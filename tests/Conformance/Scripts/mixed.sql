-- differs: public.rekeyed {"code":"a"}: 2 events there (uu), 1 here (u)
-- differs: public.rekeyed {"id":1}: 1 events there (c), 2 here (cu)

CREATE TABLE differs_item (id int PRIMARY KEY, code text NOT NULL, v int); CREATE SCHEMA elsewhere; CREATE TABLE differs_moved (id int PRIMARY KEY, v int); CREATE TABLE rekeyed (id int PRIMARY KEY, code text NOT NULL, v int); CREATE TABLE parted (id int PRIMARY KEY, v int) PARTITION BY RANGE (id); CREATE TABLE part (id int PRIMARY KEY, v int)

-- run

INSERT INTO differs_item VALUES (1, 'a', 1); INSERT INTO differs_moved VALUES (1, 1); INSERT INTO rekeyed VALUES (1, 'a', 1), (2, 'b', 2); INSERT INTO part VALUES (1, 1)

-- settle

BEGIN; UPDATE differs_item SET v = 2; ALTER TABLE differs_item RENAME TO renamed; UPDATE renamed SET v = 3; INSERT INTO renamed VALUES (2, 'b', 2); COMMIT

-- settle

BEGIN; UPDATE differs_moved SET v = 2; ALTER TABLE differs_moved SET SCHEMA elsewhere; UPDATE elsewhere.differs_moved SET v = 3; COMMIT

-- settle

BEGIN; UPDATE rekeyed SET v = 3 WHERE id = 1; ALTER TABLE rekeyed DROP CONSTRAINT rekeyed_pkey, ADD PRIMARY KEY (code); UPDATE rekeyed SET v = 4 WHERE id = 1; DELETE FROM rekeyed WHERE id = 2; COMMIT

-- settle

BEGIN; UPDATE part SET v = 2; ALTER TABLE parted ATTACH PARTITION part FOR VALUES FROM (0) TO (10); UPDATE parted SET v = 3; INSERT INTO parted VALUES (2, 2); COMMIT
