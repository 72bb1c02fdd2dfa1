-- The publication leaves out operations for the time of a transaction: updates and deletes first, inserts and deletes then.

CREATE TABLE public.parcel (id int PRIMARY KEY, n int NOT NULL, body text); ALTER TABLE public.parcel ALTER body SET STORAGE EXTERNAL

CREATE TABLE public.crate (id int PRIMARY KEY, n int NOT NULL, body text); ALTER TABLE public.crate ALTER body SET STORAGE EXTERNAL

-- run

INSERT INTO public.parcel VALUES (1, 0, repeat('d', 2300)), (2, 0, repeat('e', 2300)), (3, 0, repeat('f', 2300))

INSERT INTO public.crate VALUES (1, 0, repeat('d', 2300)), (2, 0, repeat('e', 2300))

-- settle

BEGIN; ALTER PUBLICATION cdc_shop SET (publish = 'insert, truncate'); UPDATE public.parcel SET body = upper(body) WHERE id = 1; DELETE FROM public.parcel WHERE id = 2; UPDATE public.parcel SET id = 30 WHERE id = 3; INSERT INTO public.parcel VALUES (2, 0, 'again'); ALTER PUBLICATION cdc_shop SET (publish = 'insert, update, delete, truncate'); COMMIT

BEGIN; ALTER PUBLICATION cdc_shop SET (publish = 'update'); DELETE FROM public.crate WHERE id = 2; UPDATE public.crate SET n = 5 WHERE id = 1; INSERT INTO public.crate VALUES (3, 0, repeat('g', 2300)); ALTER PUBLICATION cdc_shop SET (publish = 'insert, update, delete, truncate'); COMMIT

-- noticed public.parcel, public.crate

UPDATE public.parcel SET n = 1

UPDATE public.crate SET n = 6

-- expect public.parcel
-- {"id":1} c {"id":1,"n":0,"body":"d*2300"}
-- {"id":1} u {"id":1,"n":1,"body":"D*2300?"} before {"id":1,"n":0,"body":"D*2300"}
-- {"id":2} c {"id":2,"n":0,"body":"e*2300"}
-- {"id":2} c {"id":2,"n":0,"body":"again"}
-- {"id":2} u {"id":2,"n":1,"body":"again"}
-- {"id":3} c {"id":3,"n":0,"body":"f*2300"}
-- {"id":3} gone
-- {"id":30} u {"id":30,"n":1,"body":"f*2300?"} before {"id":30,"n":0,"body":"f*2300"}
-- {"id":1} doubted
-- {"id":2} doubted
-- {"id":30} doubted

-- expect public.crate
-- {"id":1} c {"id":1,"n":0,"body":"d*2300"}
-- {"id":1} u {"id":1,"n":5,"body":"d*2300?"}
-- {"id":1} u {"id":1,"n":6,"body":"d*2300?"}
-- {"id":2} c {"id":2,"n":0,"body":"e*2300"}
-- {"id":2} gone
-- {"id":3} u {"id":3,"n":6,"body":"g*2300?"} before {"id":3,"n":0,"body":"g*2300"}
-- {"id":1} doubted
-- {"id":3} doubted
