CREATE TABLE people (id int PRIMARY KEY, name text, secret text, mail text);
CREATE TABLE tasks (id int PRIMARY KEY);
CREATE TABLE items (id int, name text);
DO $$ BEGIN
  EXECUTE 'CREATE TABLE wide (' ||
    (SELECT string_agg('c' || n || ' int', ', ') FROM generate_series(1, 1500) n) || ')';
END $$;
