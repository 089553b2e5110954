CREATE EXTENSION citext;
CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE DOMAIN mail AS text;
CREATE DOMAIN any_case_text AS text COLLATE any_case;

CREATE TABLE customers (
  id int PRIMARY KEY, tenant_id int, name text,
  email text, mail_domain mail, login varchar(50), nick citext, code char(5), label name,
  balance numeric, ratio float8, small float4, number int8, account uuid, born date, seen timestamptz,
  picture bytea, address inet, vip bool, tags text[]
);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int, email text, note text);
CREATE TABLE archive (LIKE customers);
CREATE TABLE notes (id int, note text);
CREATE VIEW customer_list AS SELECT id, email AS mail, lower(email) AS low FROM customers;
CREATE VIEW one_customer AS SELECT id FROM customers WHERE email = 'owner@example.org';

CREATE SCHEMA trick;
CREATE FUNCTION trick.guess(text, text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN $1 OPERATOR(pg_catalog.>) $2; END';
CREATE OPERATOR trick.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trick.guess);
CREATE FUNCTION trick.lower(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN substr($1, 1, 1); END';
