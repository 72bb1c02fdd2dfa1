-- A row of two thirds of what a message may have is inserted, updated in a small column, given another key and deleted.

CREATE TABLE public.scroll (id int PRIMARY KEY, n int NOT NULL, body text); ALTER TABLE public.scroll ALTER body SET STORAGE EXTERNAL

CREATE TABLE public.scroll_full (id int PRIMARY KEY, n int NOT NULL, body text); ALTER TABLE public.scroll_full ALTER body SET STORAGE EXTERNAL; ALTER TABLE public.scroll_full REPLICA IDENTITY FULL

-- run

INSERT INTO public.scroll SELECT 1, 0, string_agg(md5(i::text), '') FROM generate_series(1, 21000) AS i

INSERT INTO public.scroll_full SELECT 1, 0, string_agg(md5(i::text), '') FROM generate_series(1, 14000) AS i

-- settle

UPDATE public.scroll SET n = 1

UPDATE public.scroll_full SET n = 1

UPDATE public.scroll SET id = 2

UPDATE public.scroll SET n = 2

DELETE FROM public.scroll

DELETE FROM public.scroll_full

-- expect public.scroll
-- {"id":1} c {"id":1,"n":0,"body":{"md5s":21000}}
-- {"id":1} u {"id":1,"n":1,"body":{"?":{"md5s":21000}}}
-- {"id":1} d
-- {"id":2} c {"id":2,"n":1,"body":{"?":{"md5s":21000}}}
-- {"id":2} u {"id":2,"n":2,"body":{"?":{"md5s":21000}}}
-- {"id":2} d

-- expect public.scroll_full
-- {"id":1} c {"id":1,"n":0,"body":{"md5s":14000}}
-- {"id":1} u {"id":1,"n":1,"body":{"md5s":14000}} whole {"id":1,"n":0,"body":{"md5s":14000}}
-- {"id":1} d whole {"id":1,"n":1,"body":{"md5s":14000}}
