-- Rows take keys before their former owners leave them: by updates, by inserts, with a key that is checked late or made anew.

CREATE TABLE public.ticket (pos int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, who text); ALTER TABLE public.ticket REPLICA IDENTITY FULL

CREATE TABLE public.rank (pos int CONSTRAINT rank_pkey PRIMARY KEY, who text, body text); ALTER TABLE public.rank REPLICA IDENTITY FULL; ALTER TABLE public.rank ALTER body SET STORAGE EXTERNAL

-- run

INSERT INTO public.ticket VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e'), (6, 'f')

INSERT INTO public.rank SELECT i, chr(96 + i), repeat(chr(96 + i), 2000) FROM generate_series(1, 4) AS i

-- settle

UPDATE public.ticket SET pos = CASE pos WHEN 1 THEN 2 ELSE 1 END WHERE pos < 3

BEGIN; INSERT INTO public.ticket VALUES (3, 'new c'); DELETE FROM public.ticket WHERE who = 'c'; COMMIT

BEGIN; INSERT INTO public.ticket VALUES (4, 'new d'); UPDATE public.ticket SET who = 'new d!' WHERE who = 'new d'; UPDATE public.ticket SET who = 'old d' WHERE who = 'd'; UPDATE public.ticket SET pos = 40 WHERE who = 'old d'; COMMIT

BEGIN; INSERT INTO public.ticket VALUES (5, 'short'); DELETE FROM public.ticket WHERE who = 'e'; DELETE FROM public.ticket WHERE who = 'short'; COMMIT

BEGIN; INSERT INTO public.ticket VALUES (6, 'g'); UPDATE public.ticket SET pos = 7 WHERE who = 'f'; INSERT INTO public.ticket VALUES (7, 'h'); UPDATE public.ticket SET pos = 8 WHERE who = 'f'; COMMIT

BEGIN; ALTER TABLE public.rank DROP CONSTRAINT rank_pkey; INSERT INTO public.rank VALUES (1, 'A', repeat('A', 2000)); DELETE FROM public.rank WHERE who = 'a'; UPDATE public.rank SET pos = pos + 1 WHERE pos BETWEEN 2 AND 3; DELETE FROM public.rank WHERE who = 'd'; ALTER TABLE public.rank ADD CONSTRAINT rank_pkey PRIMARY KEY (pos); COMMIT

-- settle

UPDATE public.rank SET who = who || '!'

-- expect public.ticket
-- {"pos":1} last
-- {"pos":1} peer cd-c
-- {"pos":1} c {"pos":1,"who":"b"}
-- {"pos":2} last
-- {"pos":2} peer ccd-
-- {"pos":2} c {"pos":2,"who":"a"}
-- {"pos":3} last
-- {"pos":3} peer ccd-
-- {"pos":3} c {"pos":3,"who":"new c"}
-- {"pos":4} last
-- {"pos":4} peer ccuud-
-- {"pos":4} u {"pos":4,"who":"new d!"} before {"pos":4,"who":"new d"}
-- {"pos":40} c {"pos":40,"who":"old d"}
-- {"pos":5} last
-- {"pos":5} peer ccd-d-
-- {"pos":5} d before {"pos":5,"who":"short"}
-- {"pos":6} last
-- {"pos":6} peer ccd-
-- {"pos":6} c {"pos":6,"who":"g"}
-- {"pos":7} last
-- {"pos":7} peer ccd-
-- {"pos":7} c {"pos":7,"who":"h"}
-- {"pos":8} c {"pos":8,"who":"f"}

-- expect public.rank
-- {"pos":1} last
-- {"pos":1} peer ccd-u
-- {"pos":1} u {"pos":1,"who":"A!","body":"A*2000"} before {"pos":1,"who":"A","body":"A*2000"}
-- {"pos":2} d before {"pos":2,"who":"b","body":"b*2000"}
-- {"pos":2} last
-- {"pos":3} last
-- {"pos":3} u {"pos":3,"who":"b!","body":"b*2000"} before {"pos":3,"who":"b","body":"b*2000"}
-- {"pos":3} peer ccd-u
-- {"pos":4} last
-- {"pos":4} u {"pos":4,"who":"c!","body":"c*2000"} before {"pos":4,"who":"c","body":"c*2000"}
-- {"pos":4} peer ccd-u
