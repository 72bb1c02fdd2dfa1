CREATE EXTENSION IF NOT EXISTS hstore; CREATE EXTENSION IF NOT EXISTS ltree; CREATE EXTENSION IF NOT EXISTS citext

CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s "fine"'); CREATE DOMAIN price AS numeric(6,2) CHECK (VALUE > -100); CREATE DOMAIN prices AS numeric(6,2)[]; CREATE DOMAIN moody AS mood; CREATE TYPE pair AS (a int, b text)

CREATE TABLE numbers (id int PRIMARY KEY, c_oid oid[], c_float4 float4[], c_float8 float8[], c_numeric numeric[], c_prices prices)

CREATE TABLE texts (id int PRIMARY KEY, c_char char(5)[], c_bpchar bpchar[], c_citext citext[], c_bytea bytea[], c_json json[], c_mood mood[], c_moody moody[], c_ltree ltree[], c_tsvector tsvector[])

CREATE TABLE times (id int PRIMARY KEY, c_time0 time(0)[], c_time3 time(3)[], c_timetz timetz[], c_timestamp0 timestamp(0)[], c_timestamp3 timestamp(3)[], c_timestamptz3 timestamptz(3)[])

CREATE TABLE others (id int PRIMARY KEY, c_cidr cidr[], c_macaddr macaddr[], c_macaddr8 macaddr8[], c_hstore hstore[], c_int4range int4range[], c_int8range int8range[], c_numrange numrange[], c_tsrange tsrange[], c_tstzrange tstzrange[], c_daterange daterange[])

CREATE TABLE bounded (id int PRIMARY KEY, c_int int[], c_text text[])

-- run

INSERT INTO numbers VALUES (1, '{4294967295,0}', '{1.5,NULL,NaN,-Infinity}', '{-0,5e-324,Infinity}', '{1.10,123456789012345678901234567890.5,NULL}', '{1.10,-2}'), (2, '{}', '{}', '{}', '{}', '{}'), (3, NULL, NULL, NULL, NULL, NULL)

INSERT INTO texts VALUES (1, '{ab,"c d"}', '{ab}', '{CiText,NULL}', ARRAY['\xdead'::bytea, '\x'::bytea, NULL], ARRAY['{"a" : 1}'::json], ARRAY['it''s "fine"'::mood, 'sad'], ARRAY['ok'::moody], ARRAY['top.science'::ltree], ARRAY['a fat cat'::tsvector]), (2, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'), (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)

INSERT INTO times VALUES (1, '{12:34:56,NULL}', '{12:34:56.789}', '{12:34:56.789+02,NULL}', '{2024-02-29 12:34:56,infinity,NULL}', '{2024-02-29 12:34:56.789,1582-10-15,-infinity}', '{2024-02-29 12:34:56.789+02,infinity}'), (2, '{}', '{}', '{}', '{}', '{}', '{}'), (3, NULL, NULL, NULL, NULL, NULL, NULL)

INSERT INTO others VALUES (1, '{10.0.0.0/24,NULL}', '{08:00:2b:01:02:03}', '{08:00:2b:01:02:03:04:05}', ARRAY['"a"=>"1", "b"=>NULL'::hstore, ''::hstore, NULL], ARRAY['[1,10)'::int4range, 'empty'::int4range, NULL], ARRAY['[1,)'::int8range], ARRAY['(1.5,2.5]'::numrange], ARRAY['[2024-01-01 00:00,2024-01-02 00:00)'::tsrange], ARRAY['[2024-01-01 00:00+00,)'::tstzrange], ARRAY['[2024-01-01,2024-02-01)'::daterange]), (2, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'), (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)

INSERT INTO bounded VALUES (1, '[0:2]={1,2,3}', '[-5:-4]={a,"b]={"}')

UPDATE numbers SET id = 4 WHERE id = 1; DELETE FROM numbers; DELETE FROM texts; DELETE FROM times; DELETE FROM others; DELETE FROM bounded
