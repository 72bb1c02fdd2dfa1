-- The modifier of a key's type changes and changes back, and with it the text of every key.

CREATE TABLE public.tariff (zone char(3), step numeric(8,1), n int NOT NULL, body text, PRIMARY KEY (zone, step)); ALTER TABLE public.tariff ALTER body SET STORAGE EXTERNAL

CREATE TABLE public.code (code char(2) PRIMARY KEY, n int NOT NULL, body text); ALTER TABLE public.code ALTER body SET STORAGE EXTERNAL

-- run

INSERT INTO public.tariff VALUES ('AT', 2.5, 0, repeat('g', 2700)), ('DE', 7, 0, repeat('j', 2700))

INSERT INTO public.code VALUES ('x', 0, repeat('e', 2700))

-- settle

ALTER TABLE public.tariff ALTER step TYPE numeric(8,3)

UPDATE public.tariff SET body = repeat('h', 2700) WHERE step = 2.5

DELETE FROM public.tariff WHERE step = 7

BEGIN; ALTER TABLE public.code ALTER code TYPE char(4); UPDATE public.code SET body = repeat('f', 2700); ALTER TABLE public.code ALTER code TYPE char(2); COMMIT

-- settle

ALTER TABLE public.tariff ALTER step TYPE numeric(8,1)

-- noticed public.tariff

UPDATE public.tariff SET n = 1 WHERE step = 2.5

UPDATE public.code SET n = 1

-- expect public.tariff
-- {"zone":"AT ","step":"2.5"} c {"zone":"AT ","step":"2.5","n":0,"body":"g*2700"}
-- {"zone":"AT ","step":"2.5"} u {"zone":"AT ","step":"2.5","n":1,"body":"h*2700?"} before {"zone":"AT ","step":"2.5","n":0,"body":"h*2700"}
-- {"zone":"AT ","step":"2.500"} u {"zone":"AT ","step":"2.500","n":0,"body":"h*2700"}
-- {"zone":"AT ","step":"2.500"} gone
-- {"zone":"DE ","step":"7.0"} c {"zone":"DE ","step":"7.0","n":0,"body":"j*2700"}
-- {"zone":"DE ","step":"7.0"} gone
-- {"zone":"DE ","step":"7.000"} d

-- expect public.code
-- {"code":"x "} doubted
-- {"code":"x "} c {"code":"x ","n":0,"body":"e*2700"}
-- {"code":"x "} u {"code":"x ","n":1,"body":"f*2700?"} before {"code":"x ","n":0,"body":"f*2700"}
-- {"code":"x   "} u {"code":"x   ","n":0,"body":"f*2700"}
-- {"code":"x   "} gone
