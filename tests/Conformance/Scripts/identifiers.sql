CREATE SCHEMA "Odd Schema"; CREATE TABLE "Odd Schema"."Order Items" ("Id" int PRIMARY KEY, "select" text, "with ""quote""" int, "é" int)

CREATE TABLE "MixedCase" ("ID" int PRIMARY KEY, "Value" text); CREATE TABLE "order" ("from" int PRIMARY KEY, "table" text)

CREATE TABLE a_name_of_exactly_sixty_three_bytes_which_is_the_longest_one_ok (a_column_of_exactly_sixty_three_bytes_which_is_the_longest_one_ int PRIMARY KEY)

CREATE TABLE "dot.ted" (id int PRIMARY KEY); CREATE TABLE "slash/ed" (id int PRIMARY KEY); CREATE TABLE "dash-ed" (id int PRIMARY KEY); CREATE TABLE "tëst" (id int PRIMARY KEY)

-- run

INSERT INTO "Odd Schema"."Order Items" VALUES (1, 'x', 2, 3); UPDATE "Odd Schema"."Order Items" SET "select" = 'y'; DELETE FROM "Odd Schema"."Order Items"

INSERT INTO "MixedCase" VALUES (1, 'v'); INSERT INTO "order" VALUES (1, 'v')

INSERT INTO a_name_of_exactly_sixty_three_bytes_which_is_the_longest_one_ok VALUES (1)

INSERT INTO "dot.ted" VALUES (1); INSERT INTO "slash/ed" VALUES (1); INSERT INTO "dash-ed" VALUES (1); INSERT INTO "tëst" VALUES (1)
