-- Types are dropped in the transaction that used them: those that were there before, and those that were also made in it.

CREATE DOMAIN public.weight AS smallint CHECK (value > 0)

CREATE TYPE public.shade AS ENUM ('light', 'dark'); CREATE TYPE public.span AS (low int, high int); CREATE DOMAIN public.shades AS public.shade[]; CREATE DOMAIN public.tags AS text[]

CREATE TABLE public.parts (id int PRIMARY KEY, weight public.weight, weights public.weight[], shade public.shade, shades public.shades, span public.span, spans public.span[], tags public.tags)

CREATE TABLE public.plain (id int PRIMARY KEY, note text)

CREATE TABLE public.leaving (id int PRIMARY KEY, weight public.weight, shades public.shade[])

-- run

INSERT INTO public.parts VALUES (1, 3, '{3,4}', 'dark', '{dark}', '(1,2)', '{"(1,2)"}', '{x,"y z"}')

INSERT INTO public.leaving VALUES (1, 1, '{light}')

-- settle

BEGIN; UPDATE public.leaving SET weight = 2; INSERT INTO public.leaving VALUES (2, 9, '{dark,light}'); DROP TABLE public.leaving; INSERT INTO public.parts VALUES (2, 8, '{5}', 'light', '{light,dark}', '(3,4)', '{"(5,6)",NULL}', '{}'); UPDATE public.parts SET weight = 4 WHERE id = 1; DROP TYPE public.span CASCADE; DROP DOMAIN public.weight CASCADE; DROP DOMAIN public.shades CASCADE; DROP TYPE public.shade CASCADE; DROP DOMAIN public.tags CASCADE; COMMIT

BEGIN; CREATE TYPE public.mode AS ENUM ('on', 'off'); CREATE DOMAIN public.count AS bigint; CREATE DOMAIN public.share AS numeric(5,3); CREATE DOMAIN public.sure AS boolean; CREATE DOMAIN public.lists AS int[]; ALTER TABLE public.plain ADD mode public.mode, ADD modes public.mode[], ADD count public.count, ADD share public.share, ADD sure public.sure, ADD lists public.lists; INSERT INTO public.plain VALUES (1, 'one', 'on', '{on,off}', 12, 0.5, true, '{1,2}'); ALTER TABLE public.plain DROP mode, DROP modes, DROP count, DROP share, DROP sure, DROP lists; DROP TYPE public.mode; DROP DOMAIN public.count, public.share, public.sure, public.lists; COMMIT

UPDATE public.plain SET note = 'uno'

INSERT INTO public.parts VALUES (3)

-- expect public.leaving
-- {"id":1} c {"id":1,"weight":1,"shades":["light"]}
-- {"id":1} u {"id":1,"weight":2,"shades":["light"]}
-- {"id":1} peer any
-- {"id":2} peer any
-- {"id":2} c {"id":2,"weight":9,"shades":["dark","light"]}

-- expect public.parts
-- {"id":1} c {"id":1,"weight":3,"weights":[3,4],"shade":"dark","shades":["dark"],"span":"(1,2)","spans":["(1,2)"],"tags":["x","y z"]}
-- {"id":1} u {"id":1,"weight":4,"weights":[3,4],"shade":"dark","shades":["dark"],"span":"(1,2)","spans":["(1,2)"],"tags":["x","y z"]}
-- {"id":2} c {"id":2,"weight":8,"weights":[5],"shade":"light","shades":["light","dark"],"span":"(3,4)","spans":["(5,6)",null],"tags":[]}
-- {"id":3} c {"id":3}

-- expect public.plain
-- {"id":1} c {"id":1,"note":"one","mode":"on","modes":["on","off"],"count":12,"share":"0.500","sure":true,"lists":[1,2]}
-- {"id":1} u {"id":1,"note":"uno"}
