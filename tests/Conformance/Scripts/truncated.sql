CREATE TABLE parted (id int PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (100); CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM (100) TO (200)

CREATE TABLE base (id int PRIMARY KEY, v text); CREATE TABLE derived (extra int, PRIMARY KEY (id)) INHERITS (base)

-- run

INSERT INTO parted VALUES (1, 'low'), (101, 'high'); INSERT INTO base VALUES (1, 'base'); INSERT INTO derived VALUES (2, 'derived', 3)

TRUNCATE parted

INSERT INTO parted VALUES (1, 'low again'), (101, 'high again')

TRUNCATE parted_low

TRUNCATE base

INSERT INTO base VALUES (1, 'again'); INSERT INTO derived VALUES (2, 'again', 3)

TRUNCATE ONLY base

DELETE FROM parted; DELETE FROM derived
