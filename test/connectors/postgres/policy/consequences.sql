-- What the server does besides: the database of consequences.test.ts and of its neighbours.
CREATE SCHEMA app;
CREATE SCHEMA audit;
CREATE TABLE app.customers (id int PRIMARY KEY, code text UNIQUE, name text, pin text);
CREATE TABLE audit.entries (
  id int PRIMARY KEY,
  customer int REFERENCES app.customers ON DELETE CASCADE,
  code text REFERENCES app.customers (code) ON UPDATE CASCADE
);
CREATE TABLE audit.details (entry int REFERENCES audit.entries ON DELETE SET NULL, v text);
CREATE TABLE audit.marks (entry int REFERENCES audit.entries ON DELETE SET DEFAULT);
CREATE TABLE app.notes (customer int REFERENCES app.customers, v text);

CREATE TABLE app.log (id int, v text);
CREATE TABLE app.inbox (id int, v text);
CREATE RULE clean AS ON INSERT TO app.inbox DO ALSO DELETE FROM audit.details WHERE v = new.v;
CREATE TABLE app.keeper (id int PRIMARY KEY, secret text, name text);
CREATE RULE keep AS ON UPDATE TO app.keeper WHERE old.name <> new.name
  DO ALSO INSERT INTO app.log VALUES (old.id, old.name);
CREATE TABLE app.leaky (id int PRIMARY KEY, secret text, name text);
CREATE RULE leak AS ON UPDATE TO app.leaky DO ALSO INSERT INTO app.log VALUES (old.id, old.secret);
CREATE FUNCTION app.purge(int) RETURNS int LANGUAGE sql AS 'DELETE FROM app.log; SELECT 1';
CREATE TABLE app.calling (id int);
CREATE RULE call AS ON INSERT TO app.calling DO ALSO SELECT app.purge(new.id);
CREATE VIEW app.people AS SELECT id, name, secret FROM app.keeper WHERE id > 0;
CREATE RULE change AS ON UPDATE TO app.people
  DO INSTEAD UPDATE app.keeper SET id = new.id, name = new.name, secret = new.secret WHERE id = old.id;
CREATE RULE tell AS ON DELETE TO app.people DO INSTEAD (DELETE FROM app.keeper WHERE id = old.id; NOTIFY gone);
CREATE VIEW app.names AS SELECT id, name FROM app.customers;

CREATE TABLE app.events (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE app.events_2024 PARTITION OF app.events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE app.base (id int);
CREATE TABLE app.derived () INHERITS (app.base);

CREATE TABLE app.cards (pan text PRIMARY KEY, kind text, UNIQUE (kind, pan));
CREATE TABLE app.payments (id int PRIMARY KEY, card text REFERENCES app.cards, amount int, UNIQUE (card));
CREATE TABLE app.refunds (id int, card text REFERENCES app.payments (card));
CREATE TABLE app.fees (kind text, card text, FOREIGN KEY (card, kind) REFERENCES app.cards (pan, kind));
CREATE TABLE app.recent_payments () INHERITS (app.payments);

CREATE TABLE app.orders (id serial PRIMARY KEY, nr int GENERATED ALWAYS AS IDENTITY, v text);
CREATE TABLE audit.steps (id serial, v text);
CREATE SEQUENCE app.tickets;
CREATE SEQUENCE app."Odd Seq";
CREATE SEQUENCE app.shared;
CREATE TABLE app.first_user (id int DEFAULT nextval('app.shared'), v text);
CREATE TABLE audit.second_user (id int DEFAULT nextval('app.shared'), v text);
CREATE TABLE app.borrower (id int DEFAULT nextval('audit.steps_id_seq'), v text);
CREATE FUNCTION app.make_id() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE FUNCTION app.is_fine(text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
CREATE FUNCTION app.shorter(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END';
CREATE TABLE app.made (id int DEFAULT app.make_id(), v text);
CREATE TABLE app.controlled (id int, v text CHECK (app.is_fine(v)));
CREATE DOMAIN app.fine AS text CHECK (app.is_fine(VALUE));
CREATE TABLE app.typed (id int, v app.fine);
CREATE TABLE app.computed (id int, v text, w text GENERATED ALWAYS AS (app.shorter(v)) STORED);

CREATE TABLE app.staff (
  id int PRIMARY KEY, salary int, bonus int, email text UNIQUE, pin text, team int, seat int,
  CONSTRAINT fair CHECK (bonus < salary), CONSTRAINT paid CHECK (salary > 0), CHECK (team > 0 AND seat > team),
  UNIQUE (team, pin), double int GENERATED ALWAYS AS (seat * 2) STORED, CONSTRAINT twice CHECK (double <> salary)
);
CREATE UNIQUE INDEX ON app.staff (id) INCLUDE (salary);
CREATE TABLE app.lowered (id int, email text, name text);
CREATE UNIQUE INDEX ON app.lowered (lower(email));
CREATE UNIQUE INDEX ON app.lowered (name) WHERE email > 'm';
CREATE TABLE app.booked (room int, pin text, EXCLUDE USING btree (pin WITH =));
CREATE TABLE app.parted (a int, pin int) PARTITION BY RANGE (a, pin);
CREATE TABLE app.parted_low PARTITION OF app.parted FOR VALUES FROM (0, 0) TO (5, 5);
CREATE TABLE app.rowed (a int, pin int, b int);
ALTER TABLE app.rowed ENABLE ROW LEVEL SECURITY;
CREATE POLICY above ON app.rowed USING (true) WITH CHECK (a < pin);
CREATE TABLE app.guesses (v text);
CREATE VIEW app.hits AS SELECT s.id FROM app.staff s JOIN app.guesses g ON g.v = s.pin;
CREATE VIEW app.misses AS SELECT pin FROM app.staff EXCEPT SELECT v FROM app.guesses;
CREATE VIEW app.exist AS SELECT id FROM app.staff s WHERE EXISTS (SELECT FROM app.guesses g WHERE g.v = s.pin);
CREATE VIEW app.known AS SELECT s.id, s.pin FROM app.staff s WHERE s.pin <> '' AND s.id > 0;
CREATE VIEW app.seats AS SELECT s.id, s.pin, n.v FROM app.staff s JOIN app.notes n ON n.customer = s.id;
CREATE TABLE app.watched (id int, pin text);
CREATE RULE watch AS ON UPDATE TO app.watched WHERE old.pin = new.pin DO ALSO INSERT INTO app.log VALUES (1, 'same');

CREATE TYPE app.mood AS ENUM ('fine', 'bad');
CREATE FUNCTION app.mood_text(app.mood) RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$;
CREATE FUNCTION app.text_mood(text) RETURNS app.mood LANGUAGE sql AS $$ SELECT 'fine'::app.mood $$;
CREATE CAST (app.mood AS text) WITH FUNCTION app.mood_text(app.mood) AS IMPLICIT;
CREATE CAST (text AS app.mood) WITH FUNCTION app.text_mood(text) AS ASSIGNMENT;
CREATE TABLE app.moody (id int, m app.mood, v text, ms app.mood[]);
CREATE VIEW app.triggered AS SELECT id, v FROM app.log;
CREATE FUNCTION app.instead() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER instead INSTEAD OF INSERT ON app.triggered FOR EACH ROW EXECUTE FUNCTION app.instead();
CREATE DOMAIN app.code AS text;
CREATE TABLE app.vault (id int, code app.code);

-- A generated column tells of what it is made from, wherever it is compared or referenced.
CREATE TABLE app.tagged (id int PRIMARY KEY, prefix text, pin text, seat int, free int,
  tag text GENERATED ALWAYS AS (coalesce(pin, '') || prefix) STORED UNIQUE,
  place text GENERATED ALWAYS AS (prefix || '-') STORED UNIQUE,
  CONSTRAINT paired CHECK (tag <> prefix));
CREATE TABLE app.pay (id int PRIMARY KEY, salary int, bonus int, first text, last text, label varchar(9),
  total int GENERATED ALWAYS AS (bonus + salary) STORED,
  share text GENERATED ALWAYS AS ((bonus / nullif(salary, 5))::text) STORED,
  short numeric(3) GENERATED ALWAYS AS (coalesce(id, salary)) STORED);
CREATE TABLE app.named (id int PRIMARY KEY, first text, last text, salary int, bonus int, label varchar(9),
  whole text GENERATED ALWAYS AS (first || ' ' || upper(coalesce(last, '-')) || label || salary) STORED,
  high boolean GENERATED ALWAYS AS (salary > bonus AND last IS NOT NULL) STORED,
  words tsvector GENERATED ALWAYS AS (to_tsvector('english', first || ' ' || last)) STORED,
  twice int GENERATED ALWAYS AS (bonus * 2) STORED);
CREATE TABLE app.coded (id int PRIMARY KEY, first text, last text,
  code varchar(9) GENERATED ALWAYS AS (first || last) STORED);
-- An index computes, too.
CREATE TABLE app.ranked (id int PRIMARY KEY, salary int, bonus int, rate int, first text, last text);
CREATE INDEX ranked_sum ON app.ranked (id, (bonus + salary));
CREATE INDEX ranked_share ON app.ranked (first) WHERE rate / salary > 3;
CREATE INDEX ranked_name ON app.ranked (lower(first || ' ' || last), (last IS NULL)) WHERE salary > 5;
CREATE TABLE app.tags (id int PRIMARY KEY, tag text REFERENCES app.tagged (tag),
  place text REFERENCES app.tagged (place));
