-- A rewrite gives rows each other's keys.

CREATE TABLE public.desk (a int, b int, n int NOT NULL, who text, body text, PRIMARY KEY (a, b)); ALTER TABLE public.desk ALTER body SET STORAGE EXTERNAL

CREATE TABLE public.locker (id int PRIMARY KEY, n int NOT NULL, who text, body text); ALTER TABLE public.locker ALTER body SET STORAGE EXTERNAL; ALTER TABLE public.locker REPLICA IDENTITY FULL

-- run

INSERT INTO public.desk VALUES (1, 1, 0, 'ann', repeat('m', 2600)), (2, 1, 0, 'bob', repeat('w', 2600)), (3, 1, 0, 'cyd', repeat('z', 2600))

INSERT INTO public.locker VALUES (1, 0, 'ann', repeat('m', 2600)), (2, 0, 'bob', repeat('w', 2600))

-- settle

ALTER TABLE public.desk ALTER a TYPE int USING (a % 3) + 1

ALTER TABLE public.locker ALTER id TYPE int USING (3 - id)

-- noticed public.desk

UPDATE public.desk SET n = 1 WHERE a = 2

DELETE FROM public.desk WHERE a = 1

UPDATE public.locker SET n = 1 WHERE id = 1

DELETE FROM public.locker WHERE id = 2

-- expect public.desk
-- {"a":1,"b":1} c {"a":1,"b":1,"n":0,"who":"ann","body":"m*2600"}
-- {"a":1,"b":1} d before {"a":1,"b":1,"n":0,"who":"cyd","body":"z*2600"}
-- {"a":2,"b":1} c {"a":2,"b":1,"n":0,"who":"bob","body":"w*2600"}
-- {"a":2,"b":1} u {"a":2,"b":1,"n":1,"who":"ann","body":"m*2600?"} before {"a":2,"b":1,"n":0,"who":"ann","body":"m*2600"}
-- {"a":3,"b":1} c {"a":3,"b":1,"n":0,"who":"cyd","body":"z*2600"}
-- {"a":3,"b":1} gone

-- expect public.locker
-- {"id":1} doubted
-- {"id":1} c {"id":1,"n":0,"who":"ann","body":"m*2600"}
-- {"id":1} u {"id":1,"n":1,"who":"bob","body":"w*2600"} whole {"id":1,"n":0,"who":"bob","body":"w*2600"}
-- {"id":2} c {"id":2,"n":0,"who":"bob","body":"w*2600"}
-- {"id":2} d whole {"id":2,"n":0,"who":"ann","body":"m*2600"}
