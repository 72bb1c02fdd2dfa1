-- Rows change or leave without an event, and nothing of their tables comes afterwards: what is stored of them must not stay.

CREATE TABLE public.batch (day int, id int, body text, PRIMARY KEY (day, id)) PARTITION BY LIST (day); CREATE TABLE public.batch_1 PARTITION OF public.batch FOR VALUES IN (1); CREATE TABLE public.batch_2 PARTITION OF public.batch FOR VALUES IN (2)

CREATE TABLE public.sheet (id int PRIMARY KEY, body text); CREATE TABLE public.tray (id int PRIMARY KEY, body text); CREATE TABLE public.calm (id int PRIMARY KEY, body text)

-- run

INSERT INTO public.batch VALUES (1, 1, 'one'), (2, 1, 'two')

INSERT INTO public.sheet VALUES (1, 'as it was')

INSERT INTO public.tray VALUES (1, 'as it was'), (2, 'as it was')

INSERT INTO public.calm VALUES (1, 'as it is')

-- settle

TRUNCATE public.batch_1

ALTER TABLE public.sheet ALTER body TYPE text USING upper(body)

BEGIN; ALTER PUBLICATION cdc_shop DROP TABLE public.tray; DELETE FROM public.tray WHERE id = 1; ALTER PUBLICATION cdc_shop ADD TABLE public.tray; COMMIT

-- noticed public.batch, public.sheet, public.tray

-- expect public.batch
-- {"day":1,"id":1} c {"day":1,"id":1,"body":"one"}
-- {"day":1,"id":1} gone
-- {"day":2,"id":1} c {"day":2,"id":1,"body":"two"}
-- {"day":2,"id":1} gone

-- expect public.sheet
-- {"id":1} c {"id":1,"body":"as it was"}
-- {"id":1} gone

-- expect public.tray
-- {"id":1} c {"id":1,"body":"as it was"}
-- {"id":1} gone
-- {"id":2} c {"id":2,"body":"as it was"}
-- {"id":2} gone

-- expect public.calm
-- {"id":1} c {"id":1,"body":"as it is"}
