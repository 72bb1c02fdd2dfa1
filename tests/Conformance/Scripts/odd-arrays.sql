-- differs: public.missing {"id":1}[0].after.c_names: null there, ["name",null] here
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

CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN price AS numeric(6,2); CREATE TYPE pair AS (a int, b text)

CREATE TABLE deep (id int PRIMARY KEY, c_int int[][], c_numeric numeric(6,2)[][], c_timestamp timestamp[][])

CREATE TABLE amiss (id int PRIMARY KEY, c_numeric numeric[], c_mood mood[], c_time time[], c_timestamp3 timestamp(3)[])

CREATE TABLE missing (id int PRIMARY KEY, c_money money[], c_price price[], c_xml xml[], c_interval interval[], c_bit1 bit(1)[], c_bit bit(12)[], c_varbit varbit[], c_point point[], c_line line[], c_lseg lseg[], c_box box[], c_path path[], c_polygon polygon[], c_circle circle[], c_lsns pg_lsn[], c_pairs pair[], c_names name[])

-- run

INSERT INTO deep VALUES (1, '{{1,2},{3,NULL}}', '{{1.10,2}}', '{{2024-02-29 12:34:56}}')

INSERT INTO deep VALUES (2, '[2:3][-1:0]={{1,2},{3,4}}', '{{1}}', '{{2024-02-29 00:00:00}}')

INSERT INTO amiss VALUES (1, '{1.10,NaN,Infinity}', '{sad,NULL}', '{12:34:56.789012,24:00:00,NULL}', '{1582-10-04 23:59:59.999,0044-03-15 BC}')

INSERT INTO missing VALUES (1, ARRAY['12.34'::money, NULL], '{1.5,NULL}', ARRAY['<a b="c">d</a>'::xml], ARRAY['1 year 2 months 3 days 04:05:06.789'::interval, NULL], '{1,0}', '{100000000001}', '{101,NULL}', ARRAY['(1,2.5)'::point, NULL], ARRAY['{1,2,3}'::line], ARRAY['[(1,2),(3,4)]'::lseg], ARRAY['((1,2),(3,4))'::box, '((5,6),(7,8))'::box], ARRAY['[(1,2),(3,4)]'::path], ARRAY['((1,2),(3,4),(5,6))'::polygon], ARRAY['<(1,2),3>'::circle], '{16/B374D848}', ARRAY['(1,"x y")'::pair], '{name,NULL}')
