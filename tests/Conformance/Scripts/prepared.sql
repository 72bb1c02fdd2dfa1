CREATE TABLE item (id int PRIMARY KEY, v text)

-- run

INSERT INTO item VALUES (1, 'before')

BEGIN; INSERT INTO item VALUES (2, 'prepared'); UPDATE item SET v = 'prepared' WHERE id = 1; PREPARE TRANSACTION 'conformance of two phases'

INSERT INTO item VALUES (3, 'meanwhile')

-- stop

COMMIT PREPARED 'conformance of two phases'

INSERT INTO item VALUES (4, 'while stopped')

-- start

DELETE FROM item
