-- Tables leave the publication for a bulk change and come back in the same transaction: one by one, and with the whole list set anew.

CREATE TABLE public.stock (id int PRIMARY KEY, n int NOT NULL, body text); ALTER TABLE public.stock ALTER body SET STORAGE EXTERNAL

CREATE TABLE public.box (id int PRIMARY KEY, n int NOT NULL, body text); ALTER TABLE public.box ALTER body SET STORAGE EXTERNAL

-- run

INSERT INTO public.stock VALUES (1, 0, repeat('p', 2200)), (2, 0, repeat('q', 2200)), (3, 0, repeat('r', 2200)), (4, 0, repeat('s', 2200))

INSERT INTO public.box VALUES (1, 0, repeat('p', 2200)), (2, 0, repeat('q', 2200))

-- settle

BEGIN; ALTER PUBLICATION cdc_shop DROP TABLE public.stock; UPDATE public.stock SET body = upper(body) WHERE id = 1; DELETE FROM public.stock WHERE id = 2; UPDATE public.stock SET id = 33 WHERE id = 3; INSERT INTO public.stock VALUES (5, 0, repeat('t', 2200)); ALTER PUBLICATION cdc_shop ADD TABLE public.stock; COMMIT

BEGIN; ALTER PUBLICATION cdc_shop SET TABLE public.finish, public.stock; DELETE FROM public.box WHERE id = 1; UPDATE public.box SET body = upper(body) WHERE id = 2; INSERT INTO public.box VALUES (1, 7, repeat('o', 2200)); ALTER PUBLICATION cdc_shop SET TABLE public.finish, public.stock, public.box; COMMIT

-- noticed public.box, public.stock

UPDATE public.stock SET n = 1

UPDATE public.box SET n = n + 1

DELETE FROM public.stock WHERE id = 5

-- expect public.stock
-- {"id":1} c {"id":1,"n":0,"body":"p*2200"}
-- {"id":1} u {"id":1,"n":1,"body":"P*2200?"} before {"id":1,"n":0,"body":"P*2200"}
-- {"id":2} c {"id":2,"n":0,"body":"q*2200"}
-- {"id":2} gone
-- {"id":3} c {"id":3,"n":0,"body":"r*2200"}
-- {"id":3} gone
-- {"id":33} u {"id":33,"n":1,"body":"r*2200?"} before {"id":33,"n":0,"body":"r*2200"}
-- {"id":4} c {"id":4,"n":0,"body":"s*2200"}
-- {"id":4} u {"id":4,"n":1,"body":"s*2200?"}
-- {"id":5} u {"id":5,"n":1,"body":"t*2200?"} before {"id":5,"n":0,"body":"t*2200"}
-- {"id":5} d before {"id":5,"n":1,"body":"t*2200"}
-- {"id":1} doubted
-- {"id":33} doubted
-- {"id":4} doubted
-- {"id":5} doubted

-- expect public.box
-- {"id":1} c {"id":1,"n":0,"body":"p*2200"}
-- {"id":1} u {"id":1,"n":8,"body":"o*2200?"} before {"id":1,"n":7,"body":"o*2200"}
-- {"id":2} c {"id":2,"n":0,"body":"q*2200"}
-- {"id":2} u {"id":2,"n":1,"body":"Q*2200?"} before {"id":2,"n":0,"body":"Q*2200"}
-- {"id":1} doubted
-- {"id":2} doubted
