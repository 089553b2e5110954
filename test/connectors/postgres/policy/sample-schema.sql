-- Schema of the SQL analysis tests. The tests mask people.secret, people.mail and pay.pan; every value
-- there starts with 77, so that a test can see it in a result.
CREATE SCHEMA hr;
CREATE SCHEMA "Odd Name";
CREATE EXTENSION citext;
CREATE EXTENSION hstore;

CREATE TYPE mood AS ENUM ('ok', 'bad');
CREATE DOMAIN zip AS text CHECK (VALUE ~ '^\d{5}$');

CREATE TABLE people (
  id int PRIMARY KEY,
  name text NOT NULL,
  mail text,
  secret text,
  born date,
  state mood DEFAULT 'ok',
  area zip,
  info jsonb,
  backwards text GENERATED ALWAYS AS (reverse(secret)) STORED,
  initial text GENERATED ALWAYS AS (left(name, 1)) STORED
);
INSERT INTO people (id, name, mail, secret, born, area, info) VALUES
  (1, 'Ann', '77ann@example.test', '7700000001', '1990-01-01', '10115', '{"a":1}'),
  (2, 'Ben', '77ben@example.test', '7700000002', '1991-02-02', '10117', '{"a":2}');
CREATE TABLE former_people (left_on date) INHERITS (people);
INSERT INTO former_people (id, name, mail, secret, left_on) VALUES (9, 'Old', '77old@example.test', '7700000009', '2020-01-01');

CREATE TABLE tasks (id int PRIMARY KEY, owner int REFERENCES people(id), title citext, hours numeric, done bool DEFAULT false, note text);
INSERT INTO tasks VALUES (1, 1, 'Write', 2, false, 'n1'), (2, 2, 'Read', 3, true, 'n2');

CREATE TABLE pay (id int, pan text, month date) PARTITION BY RANGE (month);
CREATE TABLE pay_2024 PARTITION OF pay FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY RANGE (month);
CREATE TABLE pay_2024_01 PARTITION OF pay_2024 FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
INSERT INTO pay VALUES (1, '7700000011', '2024-01-05');

-- A second, unmarked parent of a child of people.
CREATE TABLE everyone (id int, name text, secret text);
ALTER TABLE former_people INHERIT everyone;

-- Copies of the row type, nested and in arrays.
CREATE TABLE snapshots (id int, person people, history people[]);
INSERT INTO snapshots SELECT 1, p, ARRAY[p] FROM ONLY people p WHERE id = 1;
CREATE TYPE wrapped AS (label text, inside people);
CREATE TABLE boxes (id int, box wrapped);
INSERT INTO boxes SELECT 1, ROW('l', p)::wrapped FROM ONLY people p WHERE id = 1;

CREATE VIEW named (nr, who, code) AS SELECT id, name, secret FROM people;
CREATE VIEW named_again AS SELECT n.code AS note, n.nr FROM named n;
CREATE VIEW "Odd Name"."My View" AS SELECT secret AS "Se Cret", id FROM people;
CREATE VIEW recursive_view AS
  WITH RECURSIVE r(n, v) AS (SELECT 1, secret FROM people WHERE id = 1 UNION ALL SELECT n + 1, v FROM r WHERE n < 3)
  SELECT n, v FROM r;
CREATE VIEW harmless AS SELECT id, name, born FROM people;
CREATE MATERIALIZED VIEW stored_view AS SELECT id, upper(secret) AS up FROM people;

CREATE FUNCTION get_secret(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT secret FROM public.people WHERE id = $1';
CREATE FUNCTION shout(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE '%', $1; RETURN $1; END $$;
CREATE FUNCTION show_all() RETURNS SETOF people LANGUAGE sql STABLE AS 'SELECT * FROM public.people';
CREATE AGGREGATE glue(text) (SFUNC = textcat, STYPE = text);
CREATE OPERATOR ||| (LEFTARG = text, RIGHTARG = text, FUNCTION = textcat);
CREATE FUNCTION spy_eq(text, text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', $1; RETURN $1 OPERATOR(pg_catalog.=) $2; END $$;
CREATE OPERATOR hr.= (LEFTARG = text, RIGHTARG = text, FUNCTION = spy_eq);
CREATE FUNCTION hr.length(varchar) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', $1; RETURN 1; END $$;
CREATE DOMAIN noisy AS text CHECK (shout(VALUE) IS NOT NULL);
CREATE TYPE pair AS (a text, b text);
CREATE FUNCTION to_pair(text) RETURNS pair LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', $1; RETURN ROW($1, $1); END $$;
CREATE CAST (text AS pair) WITH FUNCTION to_pair(text);

CREATE TABLE audited (id int PRIMARY KEY, v text);
CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := (SELECT secret FROM public.people WHERE id = 1); RETURN NEW; END $$;
CREATE TRIGGER fill BEFORE INSERT ON audited FOR EACH ROW EXECUTE FUNCTION fill();
CREATE TABLE logged (id int PRIMARY KEY, v text);
CREATE TRIGGER after_only AFTER INSERT ON logged FOR EACH ROW EXECUTE FUNCTION fill();
CREATE TABLE checked (id int, v text CHECK (shout(v) IS NOT NULL));
CREATE TABLE ruled (id int, v text);
CREATE RULE copy AS ON INSERT TO ruled DO ALSO INSERT INTO tasks (id, note) SELECT 100, secret FROM people LIMIT 1;
CREATE TABLE guarded (id int, v text);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON guarded USING (shout(v) IS NOT NULL);

CREATE TABLE hr.people (id int, secret text);
INSERT INTO hr.people VALUES (1, 'harmless');
CREATE SEQUENCE numbers;
ANALYZE;
