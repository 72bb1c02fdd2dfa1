-- Rows enter and leave a filter whose condition may be NULL; a filter on the key is set, turned over and lifted.

CREATE TABLE public.offer (id int PRIMARY KEY, opened boolean, n int NOT NULL, body text); ALTER TABLE public.offer REPLICA IDENTITY FULL; ALTER TABLE public.offer ALTER body SET STORAGE EXTERNAL

CREATE TABLE public.slice (id int PRIMARY KEY, n int NOT NULL, body text); ALTER TABLE public.slice ALTER body SET STORAGE EXTERNAL

-- run

BEGIN; ALTER PUBLICATION cdc_shop DROP TABLE public.offer; ALTER PUBLICATION cdc_shop ADD TABLE public.offer WHERE (opened); COMMIT

INSERT INTO public.offer VALUES (1, true, 0, repeat('k', 2100)), (2, NULL, 0, repeat('l', 2100))

INSERT INTO public.slice VALUES (3, 0, repeat('i', 2100)), (30, 0, repeat('j', 2100))

-- settle

UPDATE public.offer SET opened = NULL WHERE id = 1

UPDATE public.offer SET body = repeat('K', 2100), n = 3 WHERE id = 1

UPDATE public.offer SET opened = true

DELETE FROM public.offer WHERE id = 2

UPDATE public.offer SET n = 4

BEGIN; ALTER PUBLICATION cdc_shop DROP TABLE public.slice; ALTER PUBLICATION cdc_shop ADD TABLE public.slice WHERE (id < 20); COMMIT

UPDATE public.slice SET body = repeat('J', 2100) WHERE id = 30

UPDATE public.slice SET n = 1

-- settle

BEGIN; ALTER PUBLICATION cdc_shop DROP TABLE public.slice; ALTER PUBLICATION cdc_shop ADD TABLE public.slice WHERE (id >= 20); COMMIT

UPDATE public.slice SET body = repeat('I', 2100) WHERE id = 3

UPDATE public.slice SET n = 2

UPDATE public.slice SET id = 40 WHERE id = 3

-- settle

BEGIN; ALTER PUBLICATION cdc_shop DROP TABLE public.slice; ALTER PUBLICATION cdc_shop ADD TABLE public.slice; COMMIT

-- noticed public.slice

UPDATE public.slice SET n = 3

-- expect public.offer
-- {"id":1} c {"id":1,"opened":true,"n":0,"body":"k*2100"}
-- {"id":1} d whole {"id":1,"opened":true,"n":0,"body":"k*2100"}
-- {"id":1} c {"id":1,"opened":true,"n":3,"body":"K*2100"}
-- {"id":1} u {"id":1,"opened":true,"n":4,"body":"K*2100"} whole {"id":1,"opened":true,"n":3,"body":"K*2100"}
-- {"id":2} c {"id":2,"opened":true,"n":0,"body":"l*2100"}
-- {"id":2} d whole {"id":2,"opened":true,"n":0,"body":"l*2100"}
-- {"id":1} doubted
-- {"id":2} doubted

-- expect public.slice
-- {"id":3} c {"id":3,"n":0,"body":"i*2100"}
-- {"id":3} u {"id":3,"n":1,"body":"i*2100?"}
-- {"id":3} gone
-- {"id":30} c {"id":30,"n":0,"body":"j*2100"}
-- {"id":30} u {"id":30,"n":2,"body":"J*2100?"} before {"id":30,"n":1,"body":"J*2100"}
-- {"id":30} u {"id":30,"n":3,"body":"J*2100?"} before {"id":30,"n":2,"body":"J*2100"}
-- {"id":40} c {"id":40,"n":2,"body":"I*2100?"}
-- {"id":40} u {"id":40,"n":3,"body":"I*2100?"}
-- {"id":30} doubted
-- {"id":40} doubted
