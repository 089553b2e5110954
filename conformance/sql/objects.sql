-- One of each kind of object, for psql's \d family and for pg_dump.
CREATE SCHEMA shop;
CREATE ROLE conformance_reader;
COMMENT ON SCHEMA shop IS 'the shop';
SET search_path = shop, public;
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy');
CREATE TYPE place AS (street text, number int, "odd name" numeric(10, 2)[]);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN code AS text COLLATE "C" DEFAULT 'x' NOT NULL CONSTRAINT short CHECK (length(VALUE) < 10);
CREATE TYPE span AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE SEQUENCE counter START 7 INCREMENT 3 CYCLE MAXVALUE 1000;
CREATE TABLE customers (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL COLLATE "C",
  mood mood DEFAULT 'happy',
  home place,
  spent numeric(12, 2) DEFAULT 0 CHECK (spent >= 0),
  doubled numeric GENERATED ALWAYS AS (spent * 2) STORED,
  "Mixed Case; --" text,
  UNIQUE (name, mood)
);
COMMENT ON TABLE customers IS 'who buys';
COMMENT ON COLUMN customers.name IS E'a name\nin two lines';
CREATE TABLE orders (
  id bigserial PRIMARY KEY,
  customer int REFERENCES customers ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
  at timestamptz NOT NULL DEFAULT '2020-01-01 00:00Z',
  during tstzrange,
  note text,
  EXCLUDE USING gist (during WITH &&)
);
CREATE INDEX orders_note ON orders (lower(note)) INCLUDE (id) WHERE note IS NOT NULL;
CREATE TABLE events (at date NOT NULL, kind text, body jsonb) PARTITION BY RANGE (at);
CREATE TABLE events_2020 PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE events_rest PARTITION OF events DEFAULT PARTITION BY LIST (kind);
CREATE TABLE events_a PARTITION OF events_rest FOR VALUES IN ('a', NULL);
CREATE INDEX ON events (at, kind);
CREATE TABLE parent (a int);
CREATE TABLE child (b int) INHERITS (parent);
CREATE UNLOGGED TABLE scratch (a int) WITH (fillfactor = 70);
CREATE VIEW rich AS SELECT id, name, spent FROM customers WHERE spent > 100 WITH CHECK OPTION;
CREATE MATERIALIZED VIEW totals AS SELECT customer, count(*) AS n FROM orders GROUP BY customer WITH DATA;
CREATE UNIQUE INDEX ON totals (customer);
CREATE STATISTICS name_mood (dependencies) ON name, mood FROM customers;
CREATE FUNCTION add(a int, b int DEFAULT 2, VARIADIC rest int[] DEFAULT '{}') RETURNS int LANGUAGE sql IMMUTABLE STRICT
  AS $f$ SELECT a + b -- $1 and 'quotes'
  $f$;
CREATE FUNCTION many(OUT x int, OUT y text) RETURNS SETOF record LANGUAGE plpgsql STABLE
  AS $f$ BEGIN x := 1; y := 'one'; RETURN NEXT; END $f$;
CREATE FUNCTION standard(a int) RETURNS int LANGUAGE sql RETURN a + 1;
CREATE PROCEDURE nothing(INOUT a int) LANGUAGE plpgsql AS $f$ BEGIN a := a + 1; END $f$;
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN NEW.note := coalesce(NEW.note, 'none'); RETURN NEW; END $f$;
CREATE TRIGGER noted BEFORE INSERT OR UPDATE OF note ON orders FOR EACH ROW EXECUTE FUNCTION noted();
CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq, COMMUTATOR = ===);
CREATE CAST (mood AS int) WITH INOUT AS ASSIGNMENT;
CREATE COLLATION plain FROM "C";
CREATE TEXT SEARCH CONFIGURATION mine (COPY = simple);
CREATE RULE silent AS ON INSERT TO scratch WHERE NEW.a < 0 DO INSTEAD NOTHING;
ALTER TABLE customers ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON customers FOR SELECT TO conformance_reader USING (name = CURRENT_USER);
GRANT SELECT (id, name), UPDATE (name) ON customers TO conformance_reader;
GRANT USAGE ON SCHEMA shop TO conformance_reader;
GRANT EXECUTE ON FUNCTION add TO conformance_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO conformance_reader;
ALTER ROLE conformance_reader SET work_mem = '5MB';
CREATE PUBLICATION everything FOR TABLE customers (id, name) WHERE (id > 0);
CREATE EXTENSION hstore SCHEMA public;
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER nowhere OPTIONS (host 'x');
CREATE USER MAPPING FOR conformance_reader SERVER elsewhere OPTIONS (password 'secret');
CREATE FOREIGN TABLE far (a int OPTIONS (column_name 'b')) SERVER elsewhere;
INSERT INTO customers (name, home, spent, "Mixed Case; --")
  SELECT 'n' || g, ROW('s "q" \ ' || g, g, ARRAY[g, NULL]::numeric(10, 2)[])::place, g * 50, CASE WHEN g % 2 = 0 THEN E'tab\tnewline\nback\\slash' END
  FROM generate_series(1, 20) g;
INSERT INTO orders (customer, during, note)
  SELECT g % 20 + 1, tstzrange('2020-01-01Z'::timestamptz + g * interval '1 day', '2020-01-01Z'::timestamptz + (g + 1) * interval '1 day'), NULLIF('n' || g, 'n7')
  FROM generate_series(1, 50) g;
INSERT INTO events VALUES ('2020-05-05', 'a', '{"a": [1, null, "ü€😀"]}'), ('1999-01-01', 'a', NULL);
INSERT INTO child VALUES (1, 2);
REFRESH MATERIALIZED VIEW totals;
SELECT lo_from_bytea(4242, '\x000102ff');
COMMENT ON LARGE OBJECT 4242 IS 'bytes';
RESET search_path;
