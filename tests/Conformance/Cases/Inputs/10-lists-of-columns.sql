-- Columns are left out of the publication and shown again; for a while the list has only a part of the key, or nothing of it.

CREATE TABLE public.member (id int PRIMARY KEY, label text NOT NULL, n int NOT NULL, body text); ALTER TABLE public.member ALTER body SET STORAGE EXTERNAL

CREATE TABLE public.seatmap (a int, b int, n int NOT NULL, body text, PRIMARY KEY (a, b)); ALTER TABLE public.seatmap ALTER body SET STORAGE EXTERNAL

-- run

INSERT INTO public.member VALUES (5, 'five', 0, repeat('u', 2050)), (6, 'six', 0, repeat('v', 2050))

INSERT INTO public.seatmap VALUES (1, 2, 0, repeat('w', 2050))

-- settle

BEGIN; ALTER PUBLICATION cdc_shop DROP TABLE public.member; ALTER PUBLICATION cdc_shop ADD TABLE public.member (n, id); COMMIT

UPDATE public.member SET label = 'fünf', body = repeat('U', 2050) WHERE id = 5

-- settle

BEGIN; ALTER PUBLICATION cdc_shop DROP TABLE public.member; ALTER PUBLICATION cdc_shop ADD TABLE public.member (n, label); COMMIT

INSERT INTO public.member VALUES (7, 'seven', 7, 'not shown')

BEGIN; ALTER PUBLICATION cdc_shop DROP TABLE public.seatmap; ALTER PUBLICATION cdc_shop ADD TABLE public.seatmap (a, n); COMMIT

INSERT INTO public.seatmap VALUES (1, 3, 3, 'not shown')

-- settle

BEGIN; ALTER PUBLICATION cdc_shop DROP TABLE public.member, public.seatmap; ALTER PUBLICATION cdc_shop ADD TABLE public.member, public.seatmap; COMMIT

-- noticed public.member, public.seatmap

UPDATE public.member SET n = 9

DELETE FROM public.member WHERE id = 7

UPDATE public.seatmap SET n = 4

-- expect public.member
-- {"id":5} c {"id":5,"label":"five","n":0,"body":"u*2050"}
-- {"id":5} u {"id":5,"n":0}
-- {"id":5} u {"id":5,"label":"fünf","n":9,"body":"U*2050?"} before {"id":5,"label":"fünf","n":0,"body":"U*2050"}
-- {"id":6} c {"id":6,"label":"six","n":0,"body":"v*2050"}
-- {"id":6} u {"id":6,"label":"six","n":9,"body":"v*2050?"}
-- null c {"label":"seven","n":7}
-- {"id":7} u {"id":7,"label":"seven","n":9,"body":"not shown"} before {"id":7,"label":"seven","n":7,"body":"not shown"}
-- {"id":7} d before {"id":7,"label":"seven","n":9,"body":"not shown"}
-- {"id":5} doubted
-- {"id":6} doubted
-- {"id":7} doubted

-- expect public.seatmap
-- {"a":1,"b":2} c {"a":1,"b":2,"n":0,"body":"w*2050"}
-- {"a":1,"b":2} u {"a":1,"b":2,"n":4,"body":"w*2050?"}
-- null c {"a":1,"n":3}
-- null peer none
-- {"a":1,"b":3} u {"a":1,"b":3,"n":4,"body":"not shown"} before {"a":1,"b":3,"n":3,"body":"not shown"}
-- {"a":1,"b":2} doubted
-- {"a":1,"b":3} doubted
