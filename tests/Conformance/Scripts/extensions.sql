-- Types of PostGIS and pgvector by name and text, for servers that have neither: what is in the log is the same.

CREATE TYPE geometry; CREATE FUNCTION geometry_in(cstring) RETURNS geometry LANGUAGE internal IMMUTABLE STRICT AS 'textin'; CREATE FUNCTION geometry_out(geometry) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout'; CREATE TYPE geometry (INPUT = geometry_in, OUTPUT = geometry_out, STORAGE = extended); CREATE TYPE geography; CREATE FUNCTION geography_in(cstring) RETURNS geography LANGUAGE internal IMMUTABLE STRICT AS 'textin'; CREATE FUNCTION geography_out(geography) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout'; CREATE TYPE geography (INPUT = geography_in, OUTPUT = geography_out, STORAGE = extended)

CREATE TYPE vector; CREATE FUNCTION vector_in(cstring) RETURNS vector LANGUAGE internal IMMUTABLE STRICT AS 'textin'; CREATE FUNCTION vector_out(vector) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout'; CREATE TYPE vector (INPUT = vector_in, OUTPUT = vector_out, STORAGE = external); CREATE TYPE halfvec; CREATE FUNCTION halfvec_in(cstring) RETURNS halfvec LANGUAGE internal IMMUTABLE STRICT AS 'textin'; CREATE FUNCTION halfvec_out(halfvec) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout'; CREATE TYPE halfvec (INPUT = halfvec_in, OUTPUT = halfvec_out, STORAGE = external); CREATE TYPE sparsevec; CREATE FUNCTION sparsevec_in(cstring) RETURNS sparsevec LANGUAGE internal IMMUTABLE STRICT AS 'textin'; CREATE FUNCTION sparsevec_out(sparsevec) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout'; CREATE TYPE sparsevec (INPUT = sparsevec_in, OUTPUT = sparsevec_out, STORAGE = external)

CREATE TABLE places (id int PRIMARY KEY, c_geometry geometry, c_geography geography, c_geometries geometry[], c_geographies geography[])

CREATE TABLE embeddings (id int PRIMARY KEY, c_vector vector, c_halfvec halfvec, c_sparsevec sparsevec, c_vectors vector[])

-- run

INSERT INTO places (id, c_geometry, c_geography) VALUES (1, '0101000000000000000000F03F0000000000000040', '0101000020E6100000000000000000F03F0000000000000040'), (2, '0101000020E6100000000000000000F03F0000000000000040', NULL), (3, '010700000000000000', NULL), (4, '0020000001000010E63FF00000000000004000000000000000', NULL), (5, '01020000A0E610000002000000000000000000F03F00000000000000400000000000000840000000000000104000000000000014400000000000001840', NULL)

INSERT INTO places (id, c_geometries) VALUES (6, ARRAY['0101000000000000000000F03F0000000000000040'::geometry, NULL])

INSERT INTO places (id, c_geographies) VALUES (7, ARRAY['0101000020E6100000000000000000F03F0000000000000040'::geography])

INSERT INTO embeddings (id, c_vector, c_halfvec, c_sparsevec) VALUES (1, '[1,2.5,-3e-05]', '[1,2.5,-0]', '{1:1.5,3:-2}/5'), (2, '[1e+20]', '[65504]', '{}/3'), (3, NULL, NULL, NULL)

INSERT INTO embeddings (id, c_vectors) VALUES (4, ARRAY['[1,2]'::vector])

UPDATE places SET id = id + 100; DELETE FROM embeddings
