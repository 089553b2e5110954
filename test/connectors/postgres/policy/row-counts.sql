-- Tables whose rows change in every way that is not to be seen in the tag of the statement.
CREATE TABLE owners (id int PRIMARY KEY, name text);
CREATE TABLE orders (id int PRIMARY KEY, owner int REFERENCES owners ON DELETE CASCADE, state text);
CREATE TABLE items (order_id int REFERENCES orders ON DELETE CASCADE ON UPDATE CASCADE, n int);
CREATE TABLE remarks (order_id int REFERENCES orders ON DELETE SET NULL ON UPDATE SET NULL, remark text);
CREATE TABLE plain (id int PRIMARY KEY, state text);
CREATE TABLE parts (id int, region text) PARTITION BY LIST (region);
CREATE TABLE parts_eu PARTITION OF parts FOR VALUES IN ('eu');
CREATE TABLE parts_us PARTITION OF parts FOR VALUES IN ('us');
CREATE VIEW open_plain AS SELECT id, state FROM plain WHERE state = 'open';
CREATE TABLE trees (id int PRIMARY KEY);
CREATE TABLE leaves (above int REFERENCES trees ON DELETE CASCADE) INHERITS (trees);
INSERT INTO trees VALUES (1), (2);
INSERT INTO leaves SELECT n, 2 FROM generate_series(10, 14) n;
INSERT INTO owners SELECT n, 'o' FROM generate_series(1, 3) n;
INSERT INTO orders SELECT n, 1 + n % 3, 'open' FROM generate_series(1, 9) n;
INSERT INTO items SELECT 1 + n % 9, n FROM generate_series(1, 30) n;
INSERT INTO remarks SELECT 1 + n % 9, 'r' FROM generate_series(1, 20) n;
INSERT INTO plain SELECT n, 'open' FROM generate_series(1, 7) n;
INSERT INTO parts SELECT n, CASE WHEN n % 2 = 0 THEN 'eu' ELSE 'us' END FROM generate_series(1, 8) n;

CREATE TABLE log (what text);
CREATE FUNCTION note_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.log VALUES (TG_OP); RETURN NULL; END $$;
CREATE TABLE watched (id int PRIMARY KEY, state text);
CREATE TRIGGER note_it AFTER UPDATE ON watched FOR EACH ROW EXECUTE FUNCTION note_it();
INSERT INTO watched SELECT n FROM generate_series(1, 4) n;
CREATE TABLE late (id int PRIMARY KEY, state text);
CREATE CONSTRAINT TRIGGER note_it AFTER DELETE ON late DEFERRABLE FOR EACH ROW EXECUTE FUNCTION note_it();
CREATE TABLE ruled (id int);
CREATE RULE also AS ON INSERT TO ruled DO ALSO INSERT INTO log VALUES ('x'), ('y');

CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE far (id int) SERVER elsewhere;
CREATE TABLE halves (id int) PARTITION BY LIST (id);
CREATE FOREIGN TABLE half PARTITION OF halves FOR VALUES IN (1) SERVER elsewhere;
CREATE TABLE signs (id int);
CREATE RULE afar AS ON INSERT TO signs DO ALSO INSERT INTO far VALUES (NEW.id);

CREATE FUNCTION slug(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN lower($1); END';
CREATE FUNCTION sweep() RETURNS int LANGUAGE sql AS 'DELETE FROM public.plain RETURNING 1';
