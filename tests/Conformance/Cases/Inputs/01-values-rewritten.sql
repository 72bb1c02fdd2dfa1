-- Values are recomputed by a rewrite that leaves every type as it is: the log has no row and no new description of the table.

CREATE TABLE public.letter (id int PRIMARY KEY, n int NOT NULL, body text, marks int[]); ALTER TABLE public.letter ALTER body SET STORAGE EXTERNAL, ALTER marks SET STORAGE EXTERNAL

CREATE TABLE public.sealed (id int PRIMARY KEY, n int NOT NULL, body varchar(5000)); ALTER TABLE public.sealed ALTER body SET STORAGE EXTERNAL

CREATE TABLE public.hurried (id int PRIMARY KEY, n int NOT NULL, body text); ALTER TABLE public.hurried ALTER body SET STORAGE EXTERNAL

-- run

INSERT INTO public.letter VALUES (10, 0, repeat('kl', 2500), array_fill(7, ARRAY[1500])), (20, 0, repeat('mn', 2500), array_fill(7, ARRAY[1500]))

INSERT INTO public.sealed VALUES (1, 0, repeat('q', 4000)), (2, 0, repeat('q', 4100))

INSERT INTO public.hurried VALUES (1, 0, repeat('v', 3500)), (2, 0, repeat('w', 3500))

-- settle

ALTER TABLE public.letter ALTER body TYPE text USING reverse(body), ALTER marks TYPE int[] USING array_fill(8, ARRAY[1500])

BEGIN; ALTER TABLE public.sealed ALTER body TYPE varchar(5000) USING replace(body, 'q', 'r'); UPDATE public.sealed SET n = 1 WHERE id = 1; ALTER TABLE public.sealed ALTER body TYPE varchar(5000) USING replace(body, 'r', 's'); COMMIT

BEGIN; ALTER TABLE public.hurried ALTER body TYPE text USING upper(body); UPDATE public.hurried SET n = 1; COMMIT

UPDATE public.hurried SET n = 2

-- noticed public.letter, public.sealed

-- settle

UPDATE public.letter SET n = 5 WHERE id = 10

UPDATE public.letter SET id = 21 WHERE id = 20

UPDATE public.sealed SET n = 2

-- expect public.letter
-- {"id":10} c {"id":10,"n":0,"body":"kl*2500","marks":{"times":1500,"of":7}}
-- {"id":10} u {"id":10,"n":5,"body":"lk*2500?","marks":{"?":{"times":1500,"of":8}}} before {"id":10,"n":0,"body":"lk*2500","marks":{"times":1500,"of":8}}
-- {"id":20} c {"id":20,"n":0,"body":"mn*2500","marks":{"times":1500,"of":7}}
-- {"id":20} d before {"id":20,"n":0,"body":"nm*2500","marks":{"times":1500,"of":8}}
-- {"id":21} c {"id":21,"n":0,"body":"nm*2500?","marks":{"?":{"times":1500,"of":8}}}

-- expect public.sealed
-- {"id":1} c {"id":1,"n":0,"body":"q*4000"}
-- {"id":1} u {"id":1,"n":1,"body":"r*4000?"} before {"id":1,"n":0,"body":"r*4000"}
-- {"id":1} u {"id":1,"n":2,"body":"s*4000?"} before {"id":1,"n":1,"body":"s*4000"}
-- {"id":2} c {"id":2,"n":0,"body":"q*4100"}
-- {"id":2} u {"id":2,"n":2,"body":"s*4100?"} before {"id":2,"n":0,"body":"s*4100"}

-- expect public.hurried
-- {"id":1} doubted
-- {"id":2} doubted
-- {"id":1} c {"id":1,"n":0,"body":"v*3500"}
-- {"id":1} u {"id":1,"n":1,"body":"V*3500?"} before {"id":1,"n":0,"body":"V*3500"}
-- {"id":1} u {"id":1,"n":2,"body":"V*3500?"} before {"id":1,"n":1,"body":"V*3500"}
-- {"id":2} c {"id":2,"n":0,"body":"w*3500"}
-- {"id":2} u {"id":2,"n":1,"body":"W*3500?"} before {"id":2,"n":0,"body":"W*3500"}
-- {"id":2} u {"id":2,"n":2,"body":"W*3500?"} before {"id":2,"n":1,"body":"W*3500"}
