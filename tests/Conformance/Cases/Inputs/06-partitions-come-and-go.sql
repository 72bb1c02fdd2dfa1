-- Partitions, also those of partitions, are detached, changed and attached, emptied alone, dropped, and stay detached.

CREATE TABLE public.visit (day int, id int, n int NOT NULL, body text, PRIMARY KEY (day, id)) PARTITION BY LIST (day); ALTER TABLE public.visit ALTER body SET STORAGE EXTERNAL

CREATE TABLE public.visit_1 PARTITION OF public.visit FOR VALUES IN (1); CREATE TABLE public.visit_2 PARTITION OF public.visit FOR VALUES IN (2); CREATE TABLE public.visit_4 PARTITION OF public.visit FOR VALUES IN (4); CREATE TABLE public.visit_5 PARTITION OF public.visit FOR VALUES IN (5)

CREATE TABLE public.visit_3 PARTITION OF public.visit FOR VALUES IN (3) PARTITION BY RANGE (id); CREATE TABLE public.visit_3_low PARTITION OF public.visit_3 FOR VALUES FROM (0) TO (50); CREATE TABLE public.visit_3_high PARTITION OF public.visit_3 FOR VALUES FROM (50) TO (100)

-- run

INSERT INTO public.visit SELECT d, i, 0, repeat(chr(96 + d), 2400 + i) FROM (VALUES (1, 1), (1, 2), (2, 1), (3, 1), (3, 2), (3, 60), (4, 1), (5, 1)) AS r(d, i)

-- settle

BEGIN; ALTER TABLE public.visit DETACH PARTITION public.visit_1; UPDATE public.visit_1 SET body = repeat('A', 2401) WHERE id = 1; DELETE FROM public.visit_1 WHERE id = 2; INSERT INTO public.visit_1 VALUES (1, 3, 0, repeat('B', 2403)); ALTER TABLE public.visit ATTACH PARTITION public.visit_1 FOR VALUES IN (1); COMMIT

TRUNCATE public.visit_2

BEGIN; ALTER TABLE public.visit_3 DETACH PARTITION public.visit_3_low; UPDATE public.visit_3_low SET body = repeat('C', 2401) WHERE id = 1; DELETE FROM public.visit_3_low WHERE id = 2; ALTER TABLE public.visit_3 ATTACH PARTITION public.visit_3_low FOR VALUES FROM (0) TO (50); COMMIT

DROP TABLE public.visit_4

ALTER TABLE public.visit DETACH PARTITION public.visit_5

-- noticed public.visit

-- settle

UPDATE public.visit SET n = 1

-- expect public.visit
-- {"day":1,"id":1} c {"day":1,"id":1,"n":0,"body":"a*2401"}
-- {"day":1,"id":1} u {"day":1,"id":1,"n":1,"body":"A*2401?"} before {"day":1,"id":1,"n":0,"body":"A*2401"}
-- {"day":1,"id":2} c {"day":1,"id":2,"n":0,"body":"a*2402"}
-- {"day":1,"id":2} gone
-- {"day":1,"id":3} u {"day":1,"id":3,"n":1,"body":"B*2403?"} before {"day":1,"id":3,"n":0,"body":"B*2403"}
-- {"day":2,"id":1} c {"day":2,"id":1,"n":0,"body":"b*2401"}
-- {"day":2,"id":1} gone
-- {"day":3,"id":1} c {"day":3,"id":1,"n":0,"body":"c*2401"}
-- {"day":3,"id":1} u {"day":3,"id":1,"n":1,"body":"C*2401?"} before {"day":3,"id":1,"n":0,"body":"C*2401"}
-- {"day":3,"id":2} c {"day":3,"id":2,"n":0,"body":"c*2402"}
-- {"day":3,"id":2} gone
-- {"day":3,"id":60} c {"day":3,"id":60,"n":0,"body":"c*2460"}
-- {"day":3,"id":60} u {"day":3,"id":60,"n":1,"body":"c*2460?"}
-- {"day":4,"id":1} c {"day":4,"id":1,"n":0,"body":"d*2401"}
-- {"day":4,"id":1} gone
-- {"day":5,"id":1} c {"day":5,"id":1,"n":0,"body":"e*2401"}
-- {"day":5,"id":1} gone
-- {"day":1,"id":1} doubted
-- {"day":1,"id":3} doubted
-- {"day":3,"id":1} doubted
-- {"day":3,"id":60} doubted
