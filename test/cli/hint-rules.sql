-- Names that YAML, patterns or SQL read as something else, and functions that reach past the database.
CREATE SCHEMA app;
CREATE EXTENSION dblink SCHEMA app;
CREATE TABLE app.cards (id int PRIMARY KEY, pan text, name text);
CREATE TABLE app."Odd: ""Table""" (id serial PRIMARY KEY, v text);
CREATE SEQUENCE app."Tax.No #";
CREATE FUNCTION app."say ""it""*"(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE FUNCTION app.promote() RETURNS void LANGUAGE plpgsql AS
  $$ BEGIN EXECUTE 'ALTER ROLE postgres PASSWORD ' || quote_literal('x'); END $$;
CREATE FUNCTION app.plus(app.cards, int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE OPERATOR app.@+@ (FUNCTION = app.plus, LEFTARG = app.cards, RIGHTARG = int);
CREATE TABLE app.made (id int DEFAULT app."say ""it""*"(1), v text);
