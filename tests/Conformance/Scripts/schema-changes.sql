CREATE TABLE item (id int PRIMARY KEY, a int, b text)

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
