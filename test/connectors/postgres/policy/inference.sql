CREATE TABLE staff (id int PRIMARY KEY, name text, token text, pin int, email text, tag text, n text, born date, vip boolean, arr text[], doc jsonb);
CREATE TABLE leads (id int PRIMARY KEY, staff_id int, tag text, name text, email text);
CREATE VIEW v AS SELECT id, name, upper(token) AS t, pin > 5 AS big, token AS tk FROM staff;
CREATE DOMAIN word AS text CHECK (VALUE <> 'bad');
CREATE TABLE worded (id int PRIMARY KEY, d word, v varchar(40), c char(8), plain varchar(40), price numeric, other word);
CREATE TABLE parted (id int, code text, made date) PARTITION BY LIST (code);
CREATE TABLE parted_rest PARTITION OF parted DEFAULT PARTITION BY RANGE (made);
CREATE TYPE mood AS ENUM ('low', 'high');
CREATE TABLE profile (id int PRIMARY KEY, mood mood, host inet, seen timestamptz, arr text[], doc jsonb, raw bytea);
