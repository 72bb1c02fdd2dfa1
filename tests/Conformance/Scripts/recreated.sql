-- differs: public.item null: 1 events that we do not have
-- differs: public.item {"code":"one"}: 2 events there (cu), 4 here (cud-)

CREATE TABLE item (id int PRIMARY KEY, a int)

CREATE TABLE same (id int PRIMARY KEY, v text)

-- run

INSERT INTO item VALUES (1, 1), (2, 2)

INSERT INTO same VALUES (1, 'old')

-- settle

DROP TABLE item; CREATE TABLE item (b numeric(5,2), code text PRIMARY KEY, a text); ALTER PUBLICATION ours ADD TABLE item

INSERT INTO item VALUES (1.5, 'one', 'x'), (NULL, '1', NULL)

UPDATE item SET b = 2.25 WHERE code = 'one'

DELETE FROM item WHERE code = '1'

DROP TABLE same; CREATE TABLE same (id int PRIMARY KEY, v text); ALTER PUBLICATION ours ADD TABLE same

INSERT INTO same VALUES (1, 'new'); UPDATE same SET v = 'newer'; DELETE FROM same

-- settle

BEGIN; DELETE FROM item; DROP TABLE item; CREATE TABLE item (id bigint PRIMARY KEY); ALTER PUBLICATION ours ADD TABLE item; INSERT INTO item VALUES (9); COMMIT

UPDATE item SET id = 10
