-- Functions and operators with names of built-in ones, in a schema of somebody's own.
CREATE SCHEMA app;
CREATE SCHEMA evil;
CREATE TABLE app.staff (id int PRIMARY KEY, token text, pin text);
CREATE FUNCTION evil.lower(text) RETURNS text LANGUAGE plpgsql AS
  $$ BEGIN PERFORM pg_advisory_lock(ascii($1)); RETURN 'select'; END $$;
CREATE FUNCTION evil.concat(text, text) RETURNS text LANGUAGE plpgsql AS
  $$ BEGIN PERFORM pg_advisory_lock(ascii($1)); RETURN $1; END $$;
CREATE FUNCTION evil.to_jsonb(text) RETURNS jsonb LANGUAGE plpgsql AS $$BEGIN RETURN pg_catalog.to_jsonb($1); END$$;
CREATE FUNCTION evil.count(text) RETURNS int8 LANGUAGE plpgsql AS $$BEGIN RETURN ascii($1)::int8; END$$;
CREATE FUNCTION evil.same(text, text) RETURNS bool LANGUAGE plpgsql AS
  $$ BEGIN PERFORM pg_advisory_lock(ascii($1)); RETURN true; END $$;
CREATE FUNCTION evil.joined(text, text) RETURNS text LANGUAGE plpgsql AS $$BEGIN RETURN $1; END$$;
CREATE OPERATOR evil.= (FUNCTION = evil.same, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR evil.<> (FUNCTION = evil.same, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR evil.|| (FUNCTION = evil.joined, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR evil.~~ (FUNCTION = evil.same, LEFTARG = text, RIGHTARG = text);
