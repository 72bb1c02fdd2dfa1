CREATE TABLE item (id int PRIMARY KEY, a int, b text)

CREATE TABLE moved (id int PRIMARY KEY, v text); CREATE SCHEMA elsewhere

CREATE TABLE parted (id int, region text, v int, PRIMARY KEY (id, region)) PARTITION BY LIST (region); CREATE TABLE parted_eu PARTITION OF parted FOR VALUES IN ('eu'); CREATE TABLE parted_us PARTITION OF parted FOR VALUES IN ('us')

-- run

INSERT INTO item VALUES (1, 1, 'one')

ALTER TABLE item ADD c int

INSERT INTO item VALUES (2, 2, 'two', 2)

ALTER TABLE item ADD d text DEFAULT 'given'

UPDATE item SET a = 10 WHERE id = 1

ALTER TABLE item RENAME b TO title

UPDATE item SET a = 11 WHERE id = 1

ALTER TABLE item DROP c

INSERT INTO item VALUES (3, 3, 'three', 'x')

BEGIN; INSERT INTO item VALUES (4, 4, 'four', 'x'); ALTER TABLE item ADD e bool; INSERT INTO item VALUES (5, 5, 'five', 'x', true); COMMIT

ALTER TABLE item ALTER a TYPE text

UPDATE item SET a = 'text' WHERE id = 3

DELETE FROM item WHERE id = 1
