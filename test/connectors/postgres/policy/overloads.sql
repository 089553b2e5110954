-- What extensions bring to public, and what looks like it: types of their own with operators of
-- everyday names, and casts that are applied unasked.
CREATE EXTENSION citext;
CREATE EXTENSION hstore;
CREATE EXTENSION ltree;
CREATE EXTENSION pg_trgm;
CREATE EXTENSION tablefunc;

CREATE TYPE shape;
CREATE FUNCTION shape_in(cstring) RETURNS shape LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION shape_out(shape) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE shape (INPUT = shape_in, OUTPUT = shape_out, LIKE = text);
CREATE TYPE frame;
CREATE FUNCTION frame_in(cstring) RETURNS frame LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION frame_out(frame) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE frame (INPUT = frame_in, OUTPUT = frame_out, LIKE = text);

CREATE FUNCTION shape(text) RETURNS shape LANGUAGE sql IMMUTABLE AS $$ SELECT NULL::shape $$;
CREATE FUNCTION shape(bytea) RETURNS shape LANGUAGE sql IMMUTABLE AS $$ SELECT NULL::shape $$;
CREATE FUNCTION shape(frame) RETURNS shape LANGUAGE sql IMMUTABLE AS $$ SELECT NULL::shape $$;
CREATE FUNCTION text(shape) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT NULL::text $$;
CREATE CAST (text AS shape) WITH FUNCTION shape(text) AS IMPLICIT;
CREATE CAST (bytea AS shape) WITH FUNCTION shape(bytea) AS IMPLICIT;
CREATE CAST (frame AS shape) WITH FUNCTION shape(frame) AS IMPLICIT;
CREATE CAST (shape AS text) WITH FUNCTION text(shape) AS IMPLICIT;

CREATE FUNCTION shape_eq(shape, shape) RETURNS bool LANGUAGE sql IMMUTABLE AS $$ SELECT true $$;
CREATE FUNCTION shape_near(shape, frame) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$ SELECT 1.0::float8 $$;
CREATE OPERATOR = (FUNCTION = shape_eq, LEFTARG = shape, RIGHTARG = shape);
CREATE OPERATOR < (FUNCTION = shape_eq, LEFTARG = shape, RIGHTARG = shape);
CREATE OPERATOR <= (FUNCTION = shape_eq, LEFTARG = shape, RIGHTARG = shape);
CREATE OPERATOR > (FUNCTION = shape_eq, LEFTARG = shape, RIGHTARG = shape);
CREATE OPERATOR >= (FUNCTION = shape_eq, LEFTARG = shape, RIGHTARG = shape);
CREATE OPERATOR && (FUNCTION = shape_eq, LEFTARG = shape, RIGHTARG = shape);
CREATE OPERATOR ~ (FUNCTION = shape_eq, LEFTARG = shape, RIGHTARG = shape);
CREATE OPERATOR ~~ (FUNCTION = shape_eq, LEFTARG = shape, RIGHTARG = shape);
CREATE OPERATOR @ (FUNCTION = shape_eq, LEFTARG = shape, RIGHTARG = shape);
CREATE OPERATOR <-> (FUNCTION = shape_near, LEFTARG = shape, RIGHTARG = frame);

-- Of built-in types, beside the operators that these have.
CREATE FUNCTION odd_eq(text, int) RETURNS bool LANGUAGE sql IMMUTABLE AS $$ SELECT true $$;
CREATE OPERATOR = (FUNCTION = odd_eq, LEFTARG = text, RIGHTARG = int);
CREATE FUNCTION odd_sum(int, text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT '' $$;
CREATE OPERATOR + (FUNCTION = odd_sum, LEFTARG = int, RIGHTARG = text);
-- The same operands as a built-in one: which of both is meant is for search_path to say.
CREATE FUNCTION own_eq(int, int) RETURNS bool LANGUAGE sql IMMUTABLE AS $$ SELECT true $$;
CREATE OPERATOR = (FUNCTION = own_eq, LEFTARG = int, RIGHTARG = int);

CREATE FUNCTION lower(shape) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT '' $$;
CREATE FUNCTION length(frame) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT 1 $$;
CREATE FUNCTION picked(int, text DEFAULT 'x') RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN $2; END $$;
CREATE FUNCTION picked(bigint) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN $1; END $$;
CREATE FUNCTION picked(VARIADIC anyarray) RETURNS anyelement LANGUAGE sql AS $$ SELECT $1[1] $$;
CREATE FUNCTION picked(anycompatible, anycompatible) RETURNS anycompatible LANGUAGE sql AS $$ SELECT $1 $$;

CREATE TYPE mood AS ENUM ('fine', 'bad');
CREATE DOMAIN word AS text;
CREATE DOMAIN digit AS int;
CREATE DOMAIN digits AS int[];
CREATE DOMAIN loose AS citext;
CREATE TABLE person (id int, name varchar(20));
CREATE TABLE worker (wage int) INHERITS (person);

-- Who owns an extension can add to it what he likes.
CREATE ROLE extender;
CREATE FUNCTION added(text) RETURNS text LANGUAGE sql AS $$ SELECT query_to_xml($1, true, true, '')::text $$;
ALTER FUNCTION added(text) OWNER TO extender;
CREATE FUNCTION summing(int, int) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;
CREATE AGGREGATE summed(int) (SFUNC = summing, STYPE = int);
ALTER AGGREGATE summed(int) OWNER TO extender;
ALTER EXTENSION pg_trgm ADD FUNCTION added(text);
ALTER EXTENSION pg_trgm ADD AGGREGATE summed(int);
