CREATE TABLE staff (id int PRIMARY KEY, name text, token text, pin int, email text, tag text, n text, born date, vip boolean, arr text[], doc jsonb);
CREATE TABLE leads (id int PRIMARY KEY, staff_id int, tag text, name text, email text);
CREATE VIEW v AS SELECT id, name, upper(token) AS t, pin > 5 AS big, token AS tk FROM staff;
CREATE DOMAIN word AS text CHECK (VALUE <> 'bad');
CREATE TABLE worded (id int PRIMARY KEY, d word, v varchar(40), c char(8), plain varchar(40), price numeric, other word);
CREATE TABLE parted (id int, code text, made date) PARTITION BY LIST (code);
CREATE TABLE parted_rest PARTITION OF parted DEFAULT PARTITION BY RANGE (made);
CREATE TYPE mood AS ENUM ('low', 'high');
CREATE TABLE profile (id int PRIMARY KEY, mood mood, host inet, seen timestamptz, arr text[], doc jsonb, raw bytea);
CREATE TABLE checked (id int PRIMARY KEY, name text, secret text, other text, UNIQUE (other, secret), CHECK (name <> secret));
CREATE TABLE checking (id int PRIMARY KEY, other text, secret text, FOREIGN KEY (other, secret) REFERENCES checked (other, secret));
CREATE TABLE numbered (id int PRIMARY KEY, code int NOT NULL UNIQUE, pin int NOT NULL UNIQUE, other int UNIQUE);
CREATE SEQUENCE s;
CREATE TABLE wide (id bigint PRIMARY KEY, name text);
CREATE TABLE had_child (id int PRIMARY KEY, email text);
CREATE TABLE child () INHERITS (had_child);
DROP TABLE child;
CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE loose (id text COLLATE any_case NOT NULL, email text, tag text COLLATE any_case);
CREATE UNIQUE INDEX ON loose (id COLLATE "C");
CREATE TABLE one_null (id int PRIMARY KEY, name text, pin int, UNIQUE NULLS NOT DISTINCT (name, pin));
CREATE TABLE half_filled (id int PRIMARY KEY, code int UNIQUE, email text);
DO $$ BEGIN
  IF current_setting('server_version_num')::int >= 180000 THEN
    EXECUTE 'ALTER TABLE half_filled ADD CONSTRAINT filled NOT NULL code NOT VALID';
  END IF;
END $$;
