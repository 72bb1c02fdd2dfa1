CREATE TABLE parted (id int, region text, v int, PRIMARY KEY (id, region)) PARTITION BY LIST (region); CREATE TABLE parted_eu PARTITION OF parted FOR VALUES IN ('eu')

CREATE TABLE parted_us (v int, gone int, region text NOT NULL, id int NOT NULL); ALTER TABLE parted_us DROP gone; ALTER TABLE parted ATTACH PARTITION parted_us FOR VALUES IN ('us')

CREATE TABLE parted_as PARTITION OF parted FOR VALUES IN ('as') PARTITION BY RANGE (id); CREATE TABLE parted_as_low PARTITION OF parted_as FOR VALUES FROM (0) TO (100); CREATE TABLE parted_as_high PARTITION OF parted_as FOR VALUES FROM (100) TO (200)

CREATE TABLE late (region text NOT NULL, v int, id int NOT NULL, PRIMARY KEY (id, region))

CREATE TABLE ranged (at date, id int, note text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at); CREATE TABLE ranged_2024 PARTITION OF ranged FOR VALUES FROM ('2024-01-01') TO ('2025-01-01'); CREATE TABLE ranged_rest PARTITION OF ranged DEFAULT; ALTER TABLE ranged REPLICA IDENTITY FULL; ALTER TABLE ranged_2024 REPLICA IDENTITY FULL; ALTER TABLE ranged_rest REPLICA IDENTITY FULL

-- run

INSERT INTO parted VALUES (1, 'eu', 1), (2, 'us', 2), (3, 'as', 3), (103, 'as', 4)

UPDATE parted SET v = v + 10

UPDATE parted SET region = 'us' WHERE id = 1

UPDATE parted SET id = 150 WHERE id = 3

DELETE FROM parted WHERE id = 2

INSERT INTO late VALUES ('af', 5, 5), ('af', 6, 6)

UPDATE late SET v = 50 WHERE id = 5

-- settle

ALTER TABLE parted ATTACH PARTITION late FOR VALUES IN ('af')

UPDATE parted SET v = 51 WHERE id = 5

INSERT INTO parted VALUES (7, 'af', 7)

UPDATE parted SET region = 'eu' WHERE id = 6

DELETE FROM parted WHERE id = 5

-- settle

ALTER TABLE parted DETACH PARTITION late

UPDATE late SET v = 70 WHERE id = 7

DELETE FROM late

-- settle

ALTER TABLE parted ADD note text DEFAULT 'given'

UPDATE parted SET v = 0 WHERE id = 1

CREATE TABLE parted_new PARTITION OF parted FOR VALUES IN ('new')

INSERT INTO parted VALUES (8, 'new', 8, 'in a partition made while running')

INSERT INTO ranged VALUES ('2024-05-01', 1, 'a'), ('2023-01-01', 2, 'b')

UPDATE ranged SET note = 'c'

UPDATE ranged SET at = '2022-01-01' WHERE id = 1

DELETE FROM ranged

-- settle

DROP TABLE parted_us
