CREATE TYPE size AS ENUM ('s', 'm')

CREATE TABLE simple (id int PRIMARY KEY, v text)

CREATE TABLE composite (a int, b text, v int, c uuid, PRIMARY KEY (c, a, b))

CREATE TABLE by_numeric (k numeric PRIMARY KEY, v int); CREATE TABLE by_time (k timestamptz PRIMARY KEY, v int); CREATE TABLE by_bytes (k bytea PRIMARY KEY, v int); CREATE TABLE by_enum (k size PRIMARY KEY, v int); CREATE TABLE by_text (k text PRIMARY KEY, v int); CREATE TABLE by_date (k date, l bool, v int, PRIMARY KEY (l, k))

CREATE TABLE whole (id int PRIMARY KEY, v text, big text); ALTER TABLE whole REPLICA IDENTITY FULL; ALTER TABLE whole ALTER big SET STORAGE EXTERNAL

CREATE TABLE indexed (id int NOT NULL, code text NOT NULL, v int); CREATE UNIQUE INDEX indexed_code ON indexed (code); ALTER TABLE indexed REPLICA IDENTITY USING INDEX indexed_code

CREATE TABLE toasted (id int PRIMARY KEY, n int, big text); ALTER TABLE toasted ALTER big SET STORAGE EXTERNAL

-- run

INSERT INTO simple VALUES (1, 'a'), (2, NULL)

UPDATE simple SET id = 3 WHERE id = 1

UPDATE simple SET v = 'z' WHERE id = 3

UPDATE simple SET v = v

DELETE FROM simple

INSERT INTO composite VALUES (1, 'x', 10, '00000000-0000-0000-0000-000000000001'), (2, 'comma, "quote" and \', 20, '00000000-0000-0000-0000-000000000002')

UPDATE composite SET v = v + 1

UPDATE composite SET b = 'y' WHERE a = 1

DELETE FROM composite

INSERT INTO by_numeric VALUES ('NaN', 1), (1.10, 2), ('Infinity', 3), ('-Infinity', 4), (0, 5)

UPDATE by_numeric SET v = v + 1

DELETE FROM by_numeric WHERE k = 1.1

INSERT INTO by_time VALUES ('2024-02-29 12:34:56.789012+02', 1), ('infinity', 2); INSERT INTO by_bytes VALUES ('\xdead', 1), ('\x', 2); INSERT INTO by_enum VALUES ('s', 1), ('m', 2); INSERT INTO by_text VALUES ('', 1), (E'new\nline', 2), ('q"uote', 3), ('é😀', 4), ('a,b', 5), ('\N', 6), ('{"a":1}', 7); INSERT INTO by_date VALUES ('2024-02-29', true, 1), ('infinity', false, 2)

UPDATE by_time SET v = 0; UPDATE by_bytes SET v = 0; UPDATE by_enum SET v = 0; UPDATE by_text SET v = 0; UPDATE by_date SET v = 0

DELETE FROM by_time; DELETE FROM by_bytes; DELETE FROM by_enum; DELETE FROM by_text; DELETE FROM by_date

INSERT INTO whole VALUES (1, 'a', repeat('x', 5000)), (2, NULL, NULL)

UPDATE whole SET v = 'b'

UPDATE whole SET id = 5 WHERE id = 1

DELETE FROM whole

INSERT INTO indexed VALUES (1, 'one', 1), (2, 'two', 2)

UPDATE indexed SET v = 5 WHERE code = 'one'

UPDATE indexed SET code = 'uno' WHERE id = 1

DELETE FROM indexed

INSERT INTO toasted VALUES (1, 1, repeat('y', 5000))

UPDATE toasted SET n = 2
