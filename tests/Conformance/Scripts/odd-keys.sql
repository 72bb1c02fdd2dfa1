-- differs: public.by_float {"k":2.0}[0] headers: [__debezium.oldkey, {"k":NaN}] there, [__debezium.oldkey, {"k":"NaN"}] here

CREATE EXTENSION IF NOT EXISTS citext; CREATE DOMAIN code AS varchar(10) CHECK (VALUE <> '')

CREATE TABLE by_float (k float8 PRIMARY KEY, v int); CREATE TABLE by_timestamp (k timestamp PRIMARY KEY, v int); CREATE TABLE by_clock (k time PRIMARY KEY, v int); CREATE TABLE by_interval (k interval PRIMARY KEY, v int); CREATE TABLE by_char (k char(5) PRIMARY KEY, v int); CREATE TABLE by_citext (k citext PRIMARY KEY, v int); CREATE TABLE by_inet (k inet PRIMARY KEY, v int); CREATE TABLE by_money (k money PRIMARY KEY, v int); CREATE TABLE by_bit (k bit(4) PRIMARY KEY, v int); CREATE TABLE by_jsonb (k jsonb PRIMARY KEY, v int); CREATE TABLE by_array (k int[] PRIMARY KEY, v int); CREATE TABLE by_range (k int4range PRIMARY KEY, v int); CREATE TABLE by_domain (k code PRIMARY KEY, v int); CREATE TABLE by_scale (k numeric PRIMARY KEY, v int); CREATE TABLE by_date (k date, b bool, s smallint, v int, PRIMARY KEY (k, b, s))

CREATE SCHEMA "a b"; CREATE SCHEMA a_b; CREATE TABLE "a b".t (id int PRIMARY KEY, v text); CREATE TABLE a_b.t (id int PRIMARY KEY, v text)

-- run

INSERT INTO by_float VALUES ('NaN', 1), ('-0', 2), ('Infinity', 3), (1.5, 4), (1e300, 5), (123456789, 6), (0.0001, 7), (-1234567.5, 8); UPDATE by_float SET v = v + 1; UPDATE by_float SET k = 0 WHERE k = 0; UPDATE by_float SET k = 2 WHERE k = 'NaN'; DELETE FROM by_float

INSERT INTO by_timestamp VALUES ('2024-02-29 12:34:56.789012', 1), ('infinity', 2), ('0044-03-15 12:00 BC', 3); UPDATE by_timestamp SET v = v + 1; UPDATE by_timestamp SET k = '-infinity' WHERE k = 'infinity'; DELETE FROM by_timestamp

INSERT INTO by_clock VALUES ('12:34:56.789012', 1), ('24:00', 2); UPDATE by_clock SET v = v + 1; UPDATE by_clock SET k = '00:00' WHERE k = '24:00'; DELETE FROM by_clock

INSERT INTO by_interval VALUES ('1 year 2 months', 1), ('-1 day', 2); UPDATE by_interval SET v = v + 1; UPDATE by_interval SET k = '2 days' WHERE v = 3; DELETE FROM by_interval

INSERT INTO by_char VALUES ('ab', 1), ('', 2); UPDATE by_char SET v = v + 1; UPDATE by_char SET k = 'abc' WHERE k = 'ab'; DELETE FROM by_char

INSERT INTO by_citext VALUES ('Abc', 1), ('x', 2); UPDATE by_citext SET v = v + 1; UPDATE by_citext SET k = 'ABC' WHERE k = 'abc'; UPDATE by_citext SET v = 9; DELETE FROM by_citext

INSERT INTO by_inet VALUES ('10.0.0.1/24', 1), ('::1', 2); UPDATE by_inet SET v = v + 1; UPDATE by_inet SET k = '10.0.0.1' WHERE v = 2; DELETE FROM by_inet

INSERT INTO by_money VALUES (12.34, 1), (-0.05, 2); UPDATE by_money SET v = v + 1; UPDATE by_money SET k = 1000 WHERE v = 2; DELETE FROM by_money

INSERT INTO by_bit VALUES ('0000', 1), ('1010', 2); UPDATE by_bit SET v = v + 1; UPDATE by_bit SET k = '1111' WHERE v = 2; DELETE FROM by_bit

INSERT INTO by_jsonb VALUES ('{"b": 1, "a": [null, "x"]}', 1), ('null', 2), ('1.0', 3); UPDATE by_jsonb SET v = v + 1; UPDATE by_jsonb SET k = '1.00' WHERE v = 4; DELETE FROM by_jsonb

INSERT INTO by_array VALUES ('{1,2}', 1), ('{}', 2); UPDATE by_array SET v = v + 1; UPDATE by_array SET k = '{1,NULL}' WHERE v = 2; DELETE FROM by_array

INSERT INTO by_range VALUES ('[1,5)', 1), ('empty', 2), ('(,)', 3); UPDATE by_range SET v = v + 1; UPDATE by_range SET k = '[2,)' WHERE v = 2; DELETE FROM by_range

INSERT INTO by_domain VALUES ('a', 1); UPDATE by_domain SET v = 2; UPDATE by_domain SET k = 'b'; DELETE FROM by_domain

INSERT INTO by_scale VALUES (1.1, 1); UPDATE by_scale SET v = 2; UPDATE by_scale SET k = 1.10; UPDATE by_scale SET v = 3; DELETE FROM by_scale

INSERT INTO by_date VALUES ('2024-02-29', true, -1, 1), ('infinity', false, 0, 2); UPDATE by_date SET v = v + 1; UPDATE by_date SET b = NOT b; DELETE FROM by_date

INSERT INTO "a b".t VALUES (1, 'with a space'); INSERT INTO a_b.t VALUES (2, 'with an underscore'); UPDATE "a b".t SET v = 'x'; UPDATE a_b.t SET v = 'y'; DELETE FROM "a b".t; DELETE FROM a_b.t
