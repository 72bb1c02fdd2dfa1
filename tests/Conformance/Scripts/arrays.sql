-- differs: public.amiss {"id":1}[0].after.c_mood: null there, ["sad",null] here
-- differs: public.amiss {"id":1}[0].after.c_numeric: null there, ["1.10","NAN","POSITIVE_INFINITY"] here
-- differs: public.amiss {"id":1}[0].after.c_time: [45296789000,0,null] there, [45296789012,86400000000,null] here
-- differs: public.amiss {"id":1}[0].after.c_timestamp3: [-12219292800001,-63517996800000] there, [-12220156800001,-63517824000000] here
-- differs: public.deep {"id":1}[0].after.c_int: [null,null] there, [[1,2],[3,null]] here
-- differs: public.deep {"id":1}[0].after.c_numeric: [null] there, [["1.10","2.00"]] here
-- differs: public.deep {"id":1}[0].after.c_timestamp: [null] there, [[1709210096000000]] here
-- differs: public.deep {"id":2}[0].after.c_int: [null,null] there, [[1,2],[3,4]] here
-- differs: public.deep {"id":2}[0].after.c_numeric: [null] there, [["1.00"]] here
-- differs: public.deep {"id":2}[0].after.c_timestamp: [null] there, [[1709164800000000]] here
-- differs: public.missing {"id":1}[0].after.c_bit1: null there, [true,false] here
-- differs: public.missing {"id":1}[0].after.c_bit: null there, ["AQg="] here
-- differs: public.missing {"id":1}[0].after.c_box: null there, [{"wkb":"AQMAAAABAAAABQAAAAAAAAAAAAhAAAAAAAAAEEAAAAAAAAAIQAAAAAAAAABAAAAAAAAA8D8AAAAAAAAAQAAAAAAAAPA/AAAAAAAAEEAAAAAAAAAIQAAAAAAAABBA","srid":null,"extensions":{"type":"box"}},{"wkb":"AQMAAAABAAAABQAAAAAAAAAAABxAAAAAAAAAIEAAAAAAAAAcQAAAAAAAABhAAAAAAAAAFEAAAAAAAAAYQAAAAAAAABRAAAAAAAAAIEAAAAAAAAAcQAAA… here
-- differs: public.missing {"id":1}[0].after.c_circle: null there, [{"center":{"x":1.0,"y":2.0,"wkb":"AQEAAAAAAAAAAADwPwAAAAAAAABA","srid":null},"radius":3.0}] here
-- differs: public.missing {"id":1}[0].after.c_interval: null there, [37091106789000,null] here
-- differs: public.missing {"id":1}[0].after.c_line: null there, [{"a":1.0,"b":2.0,"c":3.0}] here
-- differs: public.missing {"id":1}[0].after.c_lseg: null there, [{"wkb":"AQIAAAACAAAAAAAAAAAA8D8AAAAAAAAAQAAAAAAAAAhAAAAAAAAAEEA=","srid":null,"extensions":{"type":"lseg"}}] here
-- differs: public.missing {"id":1}[0].after.c_lsns: null there, ["16/B374D848"] here
-- differs: public.missing {"id":1}[0].after.c_money: null there, ["12.34",null] here
-- differs: public.missing {"id":1}[0].after.c_pairs: null there, ["(1,\"x y\")"] here
-- differs: public.missing {"id":1}[0].after.c_path: null there, [{"wkb":"AQIAAAACAAAAAAAAAAAA8D8AAAAAAAAAQAAAAAAAAAhAAAAAAAAAEEA=","srid":null,"extensions":{"type":"path","closed":"false"}}] here
-- differs: public.missing {"id":1}[0].after.c_point: null there, [{"x":1.0,"y":2.5,"wkb":"AQEAAAAAAAAAAADwPwAAAAAAAARA","srid":null},null] here
-- differs: public.missing {"id":1}[0].after.c_polygon: null there, [{"wkb":"AQMAAAABAAAABAAAAAAAAAAAAPA/AAAAAAAAAEAAAAAAAAAIQAAAAAAAABBAAAAAAAAAFEAAAAAAAAAYQAAAAAAAAPA/AAAAAAAAAEA=","srid":null,"extensions":{"type":"polygon"}}] here
-- differs: public.missing {"id":1}[0].after.c_price: null there, ["1.50",null] here
-- differs: public.missing {"id":1}[0].after.c_varbit: null there, ["BQ==",null] here
-- differs: public.missing {"id":1}[0].after.c_xml: null there, ["<a b=\"c\">d</a>"] here
-- differs: public.texts {"id":1}[0].after.c_names: null there, ["name"] here
-- differs: public.texts {"id":1}[1].before.c_names: null there, ["name"] here
-- differs: public.texts {"id":2}[0].after.c_names: null there, [] here
-- differs: public.texts {"id":2}[1].before.c_names: null there, [] here
-- differs: public.texts {"id":3}[0].after.c_names: null there, null here
-- differs: public.texts {"id":3}[1].before.c_names: null there, null here

CREATE EXTENSION IF NOT EXISTS hstore; CREATE EXTENSION IF NOT EXISTS ltree; CREATE EXTENSION IF NOT EXISTS citext

CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s "fine"'); CREATE DOMAIN price AS numeric(6,2) CHECK (VALUE > -100); CREATE DOMAIN prices AS numeric(6,2)[]; CREATE DOMAIN moody AS mood; CREATE TYPE pair AS (a int, b text)

CREATE TABLE numbers (id int PRIMARY KEY, c_oid oid[], c_float4 float4[], c_float8 float8[], c_numeric numeric[], c_prices prices)

CREATE TABLE texts (id int PRIMARY KEY, c_char char(5)[], c_bpchar bpchar[], c_names name[], c_citext citext[], c_bytea bytea[], c_json json[], c_mood mood[], c_moody moody[], c_ltree ltree[], c_tsvector tsvector[])

CREATE TABLE times (id int PRIMARY KEY, c_time0 time(0)[], c_time3 time(3)[], c_timetz timetz[], c_timestamp0 timestamp(0)[], c_timestamp3 timestamp(3)[], c_timestamptz3 timestamptz(3)[])

CREATE TABLE others (id int PRIMARY KEY, c_cidr cidr[], c_macaddr macaddr[], c_macaddr8 macaddr8[], c_hstore hstore[], c_int4range int4range[], c_int8range int8range[], c_numrange numrange[], c_tsrange tsrange[], c_tstzrange tstzrange[], c_daterange daterange[])

CREATE TABLE bounded (id int PRIMARY KEY, c_int int[], c_text text[])

CREATE TABLE deep (id int PRIMARY KEY, c_int int[][], c_numeric numeric(6,2)[][], c_timestamp timestamp[][])

CREATE TABLE amiss (id int PRIMARY KEY, c_numeric numeric[], c_mood mood[], c_time time[], c_timestamp3 timestamp(3)[])

CREATE TABLE missing (id int PRIMARY KEY, c_money money[], c_price price[], c_xml xml[], c_interval interval[], c_bit1 bit(1)[], c_bit bit(12)[], c_varbit varbit[], c_point point[], c_line line[], c_lseg lseg[], c_box box[], c_path path[], c_polygon polygon[], c_circle circle[], c_lsns pg_lsn[], c_pairs pair[])

-- run

INSERT INTO numbers VALUES (1, '{4294967295,0}', '{1.5,NULL,NaN,-Infinity}', '{-0,5e-324,Infinity}', '{1.10,123456789012345678901234567890.5,NULL}', '{1.10,-2}'), (2, '{}', '{}', '{}', '{}', '{}'), (3, NULL, NULL, NULL, NULL, NULL)

INSERT INTO texts VALUES (1, '{ab,"c d"}', '{ab}', '{name}', '{CiText,NULL}', ARRAY['\xdead'::bytea, '\x'::bytea, NULL], ARRAY['{"a" : 1}'::json], ARRAY['it''s "fine"'::mood, 'sad'], ARRAY['ok'::moody], ARRAY['top.science'::ltree], ARRAY['a fat cat'::tsvector]), (2, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'), (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)

INSERT INTO times VALUES (1, '{12:34:56,NULL}', '{12:34:56.789}', '{12:34:56.789+02,NULL}', '{2024-02-29 12:34:56,infinity,NULL}', '{2024-02-29 12:34:56.789,1582-10-15,-infinity}', '{2024-02-29 12:34:56.789+02,infinity}'), (2, '{}', '{}', '{}', '{}', '{}', '{}'), (3, NULL, NULL, NULL, NULL, NULL, NULL)

INSERT INTO others VALUES (1, '{10.0.0.0/24,NULL}', '{08:00:2b:01:02:03}', '{08:00:2b:01:02:03:04:05}', ARRAY['"a"=>"1", "b"=>NULL'::hstore, ''::hstore, NULL], ARRAY['[1,10)'::int4range, 'empty'::int4range, NULL], ARRAY['[1,)'::int8range], ARRAY['(1.5,2.5]'::numrange], ARRAY['[2024-01-01 00:00,2024-01-02 00:00)'::tsrange], ARRAY['[2024-01-01 00:00+00,)'::tstzrange], ARRAY['[2024-01-01,2024-02-01)'::daterange]), (2, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'), (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)

INSERT INTO bounded VALUES (1, '[0:2]={1,2,3}', '[-5:-4]={a,"b]={"}')

UPDATE numbers SET id = 4 WHERE id = 1; DELETE FROM numbers; DELETE FROM texts; DELETE FROM times; DELETE FROM others; DELETE FROM bounded

INSERT INTO deep VALUES (1, '{{1,2},{3,NULL}}', '{{1.10,2}}', '{{2024-02-29 12:34:56}}')

INSERT INTO deep VALUES (2, '[2:3][-1:0]={{1,2},{3,4}}', '{{1}}', '{{2024-02-29 00:00:00}}')

INSERT INTO amiss VALUES (1, '{1.10,NaN,Infinity}', '{sad,NULL}', '{12:34:56.789012,24:00:00,NULL}', '{1582-10-04 23:59:59.999,0044-03-15 BC}')

INSERT INTO missing VALUES (1, ARRAY['12.34'::money, NULL], '{1.5,NULL}', ARRAY['<a b="c">d</a>'::xml], ARRAY['1 year 2 months 3 days 04:05:06.789'::interval, NULL], '{1,0}', '{100000000001}', '{101,NULL}', ARRAY['(1,2.5)'::point, NULL], ARRAY['{1,2,3}'::line], ARRAY['[(1,2),(3,4)]'::lseg], ARRAY['((1,2),(3,4))'::box, '((5,6),(7,8))'::box], ARRAY['[(1,2),(3,4)]'::path], ARRAY['((1,2),(3,4),(5,6))'::polygon], ARRAY['<(1,2),3>'::circle], '{16/B374D848}', ARRAY['(1,"x y")'::pair])
