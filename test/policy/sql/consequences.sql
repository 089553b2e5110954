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
CREATE FUNCTION app.make_id() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION app.is_fine(text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE FUNCTION app.shorter(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE TABLE app.made (id int DEFAULT app.make_id(), v text);
CREATE TABLE app.controlled (id int, v text CHECK (app.is_fine(v)));
CREATE DOMAIN app.fine AS text CHECK (app.is_fine(VALUE));
CREATE TABLE app.typed (id int, v app.fine);
CREATE TABLE app.computed (id int, v text, w text GENERATED ALWAYS AS (app.shorter(v)) STORED);
