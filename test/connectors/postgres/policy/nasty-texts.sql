CREATE TABLE people (id int PRIMARY KEY, name text, secret text, mail text);
CREATE TABLE tasks (id int PRIMARY KEY);
CREATE TABLE items (id int, name text);
DO $$ BEGIN
  EXECUTE 'CREATE TABLE wide (' ||
    (SELECT string_agg('c' || n || ' int', ', ') FROM generate_series(1, 1500) n) || ')';
END $$;
CREATE TABLE parts (id int, name text) PARTITION BY RANGE (id);
DO $$ BEGIN
  FOR n IN 1..200 LOOP
    EXECUTE format('CREATE TABLE parts_%s PARTITION OF parts FOR VALUES FROM (%s) TO (%s)', n, n, n + 1);
  END LOOP;
END $$;
