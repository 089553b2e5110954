CREATE EXTENSION pg_stat_statements;
CREATE TABLE customers (id int PRIMARY KEY, name text, card text);
INSERT INTO customers SELECT n, 'name ' || n, '4111' || n FROM generate_series(1, 50) n;
ANALYZE customers;
CREATE STATISTICS customers_stats (mcv) ON name, card FROM customers;
CREATE VIEW activity AS SELECT pid, query, length(query) AS size FROM pg_stat_activity;
CREATE TABLE kept (v text);
