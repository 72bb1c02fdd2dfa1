-- A table is not in the configuration for one run, and is changed meanwhile.

CREATE TABLE public.book (id int PRIMARY KEY, n int NOT NULL, body text); ALTER TABLE public.book ALTER body SET STORAGE EXTERNAL

CREATE TABLE public.shelf (id int PRIMARY KEY, v text)

-- run

INSERT INTO public.book VALUES (1, 0, repeat('x', 2500)), (2, 0, repeat('y', 2500)), (3, 0, repeat('z', 2500))

INSERT INTO public.shelf VALUES (1, 'first')

-- tables public.shelf

-- not-held public.book 1

UPDATE public.book SET body = upper(body) WHERE id = 1

DELETE FROM public.book WHERE id = 2

UPDATE public.book SET id = 4 WHERE id = 3

INSERT INTO public.shelf VALUES (2, 'second')

-- tables public.*

UPDATE public.book SET n = 1

INSERT INTO public.shelf VALUES (3, 'third')

-- expect public.book
-- {"id":1} c {"id":1,"n":0,"body":"x*2500"}
-- {"id":1} u {"id":1,"n":1,"body":"X*2500?"} before {"id":1,"n":0,"body":"X*2500"}
-- {"id":1} peer cuu
-- {"id":2} c {"id":2,"n":0,"body":"y*2500"}
-- {"id":2} gone
-- {"id":2} peer cd-
-- {"id":3} c {"id":3,"n":0,"body":"z*2500"}
-- {"id":3} gone
-- {"id":3} peer cd-
-- {"id":4} u {"id":4,"n":1,"body":"z*2500?"} before {"id":4,"n":0,"body":"z*2500"}
-- {"id":4} peer cu
-- {"id":1} doubted
-- {"id":4} doubted

-- expect public.shelf
-- {"id":1} c {"id":1,"v":"first"}
-- {"id":2} c {"id":2,"v":"second"}
-- {"id":3} c {"id":3,"v":"third"}
-- {"id":1} doubted
-- {"id":2} doubted
-- {"id":3} doubted
