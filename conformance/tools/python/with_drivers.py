"""psycopg 3 and asyncpg, by the first argument."""

import asyncio
import os
import sys

from say import attempt


def with_psycopg():
    import psycopg
    from psycopg.rows import dict_row

    connection = psycopg.connect(row_factory=dict_row, autocommit=True)

    def rows(sql, parameters=None, **options):
        cursor = connection.execute(sql, parameters, **options)
        return cursor.fetchall() if cursor.description else cursor.rowcount

    attempt("customers", lambda: rows("SELECT * FROM customers ORDER BY id LIMIT 2"))
    attempt("lookup", lambda: rows("SELECT id FROM customers WHERE email = %s", ["customer3@shop.example"]))
    attempt("prepared", lambda: [rows("SELECT title FROM products WHERE id = %s", [n], prepare=True) for n in range(1, 4)])
    attempt("binary", lambda: rows("SELECT id, price, stock FROM products WHERE id = %s", [2], binary=True))
    attempt("types", lambda: psycopg.types.TypeInfo.fetch(connection, "hstore"))
    attempt("enum", lambda: psycopg.types.enum.EnumInfo.fetch(connection, "order_state").labels)
    attempt("many", lambda: connection.cursor().executemany("INSERT INTO products (sku, title, price) VALUES (%s, %s, %s)", [(f"Y-{n}", "x", n) for n in range(20)]))
    attempt("duplicate", lambda: rows("INSERT INTO products (sku, title, price) VALUES ('SKU-1', 'x', 1)"))

    def pipelined():
        with connection.pipeline():
            found = [connection.execute("SELECT %s::int AS n", [n]) for n in range(5)]
        return [cursor.fetchone()["n"] for cursor in found]

    def named():
        with connection.transaction(), connection.cursor("c") as cursor:
            cursor.itersize = 7
            return sum(1 for _ in cursor.execute("SELECT id FROM orders"))

    def copied():
        connection.execute("CREATE TABLE scratch.y (id int, t text)")
        with connection.cursor().copy("COPY scratch.y FROM STDIN") as copy:
            for n in range(50):
                copy.write_row((n, f"t{n}"))
        with connection.cursor().copy("COPY scratch.y TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["int4", "text"])
            return sum(1 for _ in copy.rows())

    def customers_copied():
        with connection.cursor().copy("COPY (SELECT id, email FROM customers ORDER BY id LIMIT 3) TO STDOUT") as copy:
            return list(copy.rows())

    def nested():
        with connection.transaction():
            try:
                with connection.transaction():
                    connection.execute("SELECT 1/0")
            except psycopg.Error:
                return rows("UPDATE products SET stock = 2 WHERE id = 1")

    attempt("pipeline", pipelined)
    attempt("named cursor", named)
    attempt("copy", copied)
    attempt("copy of customers", customers_copied)
    attempt("nested transactions", nested)
    attempt("several statements", lambda: rows("CREATE TABLE scratch.z (id int); INSERT INTO scratch.z VALUES (1); DROP TABLE scratch.z, scratch.y"))
    connection.close()


def with_asyncpg():
    import asyncpg

    loop = asyncio.new_event_loop()
    run = loop.run_until_complete
    connection = run(asyncpg.connect(os.environ["DATABASE_URL"]))
    rows = lambda *a: [dict(r) for r in run(connection.fetch(*a))]  # noqa: E731
    attempt("customers", lambda: rows("SELECT * FROM customers ORDER BY id LIMIT 2"))
    attempt("lookup", lambda: rows("SELECT id FROM customers WHERE email = $1", "customer3@shop.example"))
    attempt("enum and json", lambda: rows("SELECT id, state, details FROM orders WHERE state = $1 ORDER BY id LIMIT 2", "open"))
    attempt("array of an enum", lambda: rows("SELECT ARRAY[state] AS a FROM orders WHERE id = 1"))
    attempt("many", lambda: run(connection.executemany("INSERT INTO products (sku, title, price) VALUES ($1, $2, $3)", [(f"A-{n}", "x", n) for n in range(20)])))
    attempt("duplicate", lambda: run(connection.execute("INSERT INTO products (sku, title, price) VALUES ('SKU-1', 'x', 1)")))
    attempt("script", lambda: run(connection.execute("CREATE TABLE scratch.a (id int PRIMARY KEY, t text); ALTER TABLE scratch.a ADD n int; CREATE INDEX ON scratch.a (t)")))
    attempt("copy in", lambda: run(connection.copy_records_to_table("a", schema_name="scratch", records=[(n, "t", n) for n in range(40)])))
    attempt("copy out", lambda: run(connection.copy_from_table("a", schema_name="scratch", output=os.devnull)))
    attempt("json codec", lambda: run(connection.set_type_codec("jsonb", encoder=str, decoder=str, schema="pg_catalog")))

    async def cursor():
        async with connection.transaction():
            return len([row async for row in connection.cursor("SELECT id FROM orders", prefetch=7)])

    attempt("cursor", lambda: run(cursor()))
    attempt("reset", lambda: run(connection.reset()))
    attempt("drop", lambda: run(connection.execute("DROP TABLE scratch.a")))
    run(connection.close())


{"psycopg": with_psycopg, "asyncpg": with_asyncpg}[sys.argv[1]]()
