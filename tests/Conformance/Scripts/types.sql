-- differs (initial): public.times {"id":2}[0].after.c_date: -703383 there, -735160 here
-- differs (initial): public.times {"id":3}[0].after.c_date: -622191234 there, 2146033979 here
-- differs (initial): public.times {"id":4}[0].after.c_date: -625821272 there, -2147472691 here
-- differs (initial): public.generated {"id":1}[0].after.doubled: 8 there, null here
-- differs (initial): public.generated {"id":2}[0].after.doubled: 10 there, null here
-- differs (incremental): public.times {"id":2}[0].after.c_date: -703383 there, -735160 here
-- differs (incremental): public.times {"id":3}[0].after.c_date: -622191234 there, 2146033979 here
-- differs (incremental): public.times {"id":4}[0].after.c_date: -625821272 there, -2147472691 here

CREATE EXTENSION IF NOT EXISTS hstore; CREATE EXTENSION IF NOT EXISTS ltree; CREATE EXTENSION IF NOT EXISTS citext

CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s "fine"'); CREATE DOMAIN price AS numeric(6,2) CHECK (VALUE > -100); CREATE DOMAIN net AS price; CREATE TYPE pair AS (a int, b text)

CREATE TABLE numbers (id int PRIMARY KEY, c_int2 int2, c_int4 int4, c_int8 int8, c_oid oid, c_float4 float4, c_float8 float8, c_numeric numeric, c_fixed numeric(10,3), c_zero numeric(8,0), c_money money, c_bool bool, c_serial serial, c_domain price, c_nested net)

CREATE TABLE texts (id int PRIMARY KEY, c_char char(5), c_varchar varchar(20), c_text text, c_name name, c_citext citext, c_xml xml, c_bytea bytea, c_uuid uuid, c_json json, c_jsonb jsonb, c_enum mood, c_ltree ltree, c_tsvector tsvector, c_tsquery tsquery)

CREATE TABLE times (id int PRIMARY KEY, c_date date, c_time time, c_time0 time(0), c_time3 time(3), c_time4 time(4), c_timetz timetz, c_timetz3 timetz(3), c_timestamp timestamp, c_timestamp0 timestamp(0), c_timestamp3 timestamp(3), c_timestamp5 timestamp(5), c_timestamptz timestamptz, c_timestamptz0 timestamptz(0), c_timestamptz3 timestamptz(3), c_interval interval)

CREATE TABLE others (id int PRIMARY KEY, c_inet inet, c_cidr cidr, c_macaddr macaddr, c_macaddr8 macaddr8, c_bit1 bit(1), c_bit bit(12), c_varbit varbit(20), c_varbit_any varbit, c_point point, c_line line, c_lseg lseg, c_box box, c_path path, c_polygon polygon, c_circle circle, c_int4range int4range, c_int8range int8range, c_numrange numrange, c_tsrange tsrange, c_tstzrange tstzrange, c_daterange daterange, c_hstore hstore, c_pg_lsn pg_lsn, c_txid_snapshot txid_snapshot, c_composite pair)

CREATE TABLE arrays (id int PRIMARY KEY, c_int int[], c_bigint bigint[], c_smallint smallint[], c_text text[], c_varchar varchar(10)[], c_numeric numeric(6,2)[], c_bool bool[], c_float8 float8[], c_date date[], c_uuid uuid[], c_timestamp timestamp[], c_timestamptz timestamptz[], c_jsonb jsonb[], c_inet inet[], c_enum mood[], c_citext citext[])

CREATE TABLE generated (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, doubled int GENERATED ALWAYS AS (a * 2) STORED)

-- run

INSERT INTO numbers VALUES (1, -32768, -2147483648, -9223372036854775808, 4294967295, 1.5, '-0', 1.10, 1.1, 123, '12.34', true, 1, 9.99, -1.5)

INSERT INTO numbers VALUES (2, 32767, 2147483647, 9223372036854775807, 0, 'NaN', 'Infinity', 'NaN', 0, 0, '-0.05', false, 2, 0, 0)

INSERT INTO numbers VALUES (3, 0, 0, 0, 1, '-Infinity', 1e300, 'Infinity', -9999999.999, -99999999, '92233720368547758.07', NULL, 3, 99.90, 1)

INSERT INTO numbers VALUES (4, 1, 1, 1, 1, 1e-7, 123456789012345680, '-Infinity', 0.001, 1, '-92233720368547758.08', true, 4, NULL, NULL)

INSERT INTO numbers VALUES (5, NULL, NULL, NULL, NULL, 3.4e38, 5e-324, 0.000000000000001, 1, 1, NULL, true, 5, 1, 1), (6, 1, 1, 1, 1, 1, 1, 123456789012345678901234567890.123456789, 1, 1, 0, true, 6, 1, 1)

INSERT INTO texts VALUES (1, 'ab', 'varchar', E'quotes " backslash \\ newline \n tab \t é 😀', 'a name', 'CiText', '<a b="c">d</a>', '\xdeadbeef00', '6ba7b810-9dad-11d1-80b4-00c04fd430c8', '{"a" : 1, "b":[1,  2]}', '{"b": 1, "a": [1, 2.50, null]}', 'it''s "fine"', 'top.science', 'a fat cat', 'fat & rat')

INSERT INTO texts VALUES (2, '', '', '', '', '', '', '', '00000000-0000-0000-0000-000000000000', 'null', 'null', 'sad', '', '', '')

INSERT INTO texts VALUES (3)

ALTER TYPE mood ADD VALUE 'elated'

INSERT INTO texts (id, c_enum) VALUES (4, 'elated')

INSERT INTO times VALUES (1, '2024-02-29', '12:34:56.789012', '12:34:56', '12:34:56.789', '12:34:56.7891', '12:34:56.789+02', '12:34:56.789-05:30', '2024-02-29 12:34:56.789012', '2024-02-29 12:34:56', '2024-02-29 12:34:56.789', '2024-02-29 12:34:56.78901', '2024-02-29 12:34:56.789012+02', '2024-02-29 12:34:56+02', '2024-02-29 12:34:56.789+02', '1 year 2 months 3 days 04:05:06.789')

INSERT INTO times VALUES (2, '0044-03-15 BC', '00:00:00', '24:00:00', '24:00:00', '23:59:59.9999', '00:00:00+00', '23:59:59.999+14', '0044-03-15 12:00:00 BC', '1969-12-31 23:59:59', '1969-12-31 23:59:59.999', '1969-12-31 23:59:59.99999', '0044-03-15 12:00:00+00 BC', '1969-12-31 23:59:59+00', '1969-12-31 23:59:59.5+00', '-1 mons +2 days -03:04:05.678')

INSERT INTO times VALUES (3, 'infinity', NULL, NULL, NULL, NULL, NULL, NULL, 'infinity', 'infinity', 'infinity', 'infinity', 'infinity', 'infinity', 'infinity', '0'), (4, '-infinity', NULL, NULL, NULL, NULL, NULL, NULL, '-infinity', '-infinity', '-infinity', '-infinity', '-infinity', '-infinity', '-infinity', '178000000 years')

INSERT INTO times VALUES (5, '5874897-12-31', '23:59:59.999999', '23:59:59', '23:59:59.999', '23:59:59.9999', '23:59:59.999999-15:59', '23:59:59.999-15:59', '294276-12-31 23:59:59', '294276-12-31 23:59:59', '294276-12-31 23:59:59.999', '9999-12-31 23:59:59.99999', '294276-12-31 23:59:59.999999+00', '9999-12-31 23:59:59+00', '9999-12-31 23:59:59.999+00', '10 years -11 mons 1 day -00:00:00.000001')

INSERT INTO times VALUES (6)

INSERT INTO times (id, c_timetz, c_timetz3) VALUES (7, '24:00:00', '24:00:00+02')

INSERT INTO others VALUES (1, '10.0.0.1/24', '10.0.0.0/24', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', B'1', B'100000000001', B'101', B'1111111100000001', '(1,2.5)', '{1,2,3}', '[(1,2),(3,4)]', '((1,2),(3,4))', '[(1,2),(3,4)]', '((1,2),(3,4),(5,6))', '<(1,2),3>', '[1,10)', '[1,)', '(1.5,2.5]', '[2024-01-01 00:00,2024-01-02 00:00)', '[2024-01-01 00:00+00,)', '[2024-01-01,2024-02-01)', '"a"=>"1", "b"=>NULL, "quote\""=>"x, y"', '16/B374D848', '10:20:10,14,15', '(1,"x y")')

INSERT INTO others VALUES (2, '::1', '::/0', 'ff:ff:ff:ff:ff:ff', 'ff:ff:ff:ff:ff:ff:ff:ff', B'0', B'000000000000', B'', B'', '(-1e10,0)', NULL, NULL, NULL, NULL, NULL, NULL, 'empty', '(,)', 'empty', '(,)', '(,)', 'empty', '', NULL, NULL, NULL)

INSERT INTO others VALUES (3)

INSERT INTO others (id, c_bit, c_varbit, c_varbit_any, c_line, c_path, c_box, c_circle, c_point) VALUES (4, B'000000010000', B'00000001', B'1', '{0,-1.5,0}', '((0,0),(1,0),(1,1))', '(-1,-1),(0.5,0.5)', '<(0,0),0>', '(NaN,Infinity)')

INSERT INTO arrays VALUES (1, '{1,NULL,-3}', '{9223372036854775807}', '{1,2}', ARRAY['plain', 'with "quotes", comma and \', 'NULL', NULL, '', 'é'], '{a,b}', '{1.10,-2.5}', '{t,f,NULL}', '{1.5,-0,1e300}', '{2024-02-29,1970-01-01}', '{6ba7b810-9dad-11d1-80b4-00c04fd430c8}', '{2024-02-29 12:34:56.789012}', '{2024-02-29 12:34:56.789012+02}', ARRAY['{"a": 1}'::jsonb], '{10.0.0.1/24}', '{sad,"it''s \"fine\""}', '{A,b}')

INSERT INTO arrays VALUES (2, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')

INSERT INTO arrays VALUES (3)

INSERT INTO generated (a) VALUES (4), (5)

UPDATE numbers SET c_int2 = 7 WHERE id = 1

DELETE FROM numbers WHERE id IN (1, 2)

DELETE FROM texts WHERE id = 1
