"""pandas, polars, connectorx and ADBC, by the first argument: frames from tables and back."""

import os
import sys

from say import attempt

url = os.environ["DATABASE_URL"]
PRODUCTS = "SELECT id, sku, price, stock FROM products ORDER BY id LIMIT 3"
CUSTOMERS = "SELECT id, name, email, notes FROM customers ORDER BY id LIMIT 8"


def with_pandas():
    import pandas
    from sqlalchemy import create_engine

    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    records = lambda frame: frame.to_dict("records")  # noqa: E731
    attempt("read_sql", lambda: records(pandas.read_sql(CUSTOMERS, engine)))
    attempt("read_sql_table", lambda: len(pandas.read_sql_table("orders", engine)))
    attempt("read in chunks", lambda: [len(part) for part in pandas.read_sql("SELECT * FROM orders", engine, chunksize=16)])
    frame = pandas.DataFrame({"id": [1, 2, 3], "name": ["a", "b", None], "at": pandas.Timestamp("2026-01-01")})
    attempt("to_sql", lambda: frame.to_sql("frame", engine, schema="scratch", index=False))
    attempt("append", lambda: frame.to_sql("frame", engine, schema="scratch", index=False, if_exists="append", method="multi"))
    attempt("replace", lambda: frame.to_sql("frame", engine, schema="scratch", if_exists="replace"))
    attempt("read back", lambda: records(pandas.read_sql_table("frame", engine, schema="scratch")))

    def write_back():
        from sqlalchemy import text

        changed = 0
        for row in pandas.read_sql(CUSTOMERS, engine).itertuples():
            with engine.begin() as connection:
                changed += connection.execute(text("UPDATE customers SET notes = :notes WHERE id = :id"), {"notes": row.notes, "id": row.id}).rowcount
        return changed

    attempt("write a column back", write_back)


def with_polars():
    import polars
    from sqlalchemy import create_engine

    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    attempt("read_database", lambda: polars.read_database(CUSTOMERS, engine.connect()).rows())
    attempt("read_database_uri", lambda: polars.read_database_uri(PRODUCTS, url).rows())
    attempt("read_database_uri, adbc", lambda: polars.read_database_uri(CUSTOMERS, url, engine="adbc").rows())
    frame = polars.DataFrame({"id": [1, 2], "name": ["a", "b"]})
    attempt("write_database", lambda: frame.write_database("scratch.frame", engine, if_table_exists="replace"))
    attempt("write_database, adbc", lambda: frame.write_database("scratch.frame", url, engine="adbc", if_table_exists="append"))
    attempt("read back", lambda: polars.read_database("SELECT * FROM scratch.frame ORDER BY id", engine.connect()).rows())


def with_connectorx():
    import connectorx

    for protocol in ("binary", "csv", "cursor", "simple"):
        attempt(f"products, {protocol}", lambda protocol=protocol: connectorx.read_sql(url, PRODUCTS, protocol=protocol, return_type="arrow").to_pylist())
        attempt(f"customers, {protocol}", lambda protocol=protocol: connectorx.read_sql(url, CUSTOMERS, protocol=protocol, return_type="arrow").to_pylist())
    attempt("partitions", lambda: connectorx.read_sql(url, "SELECT id, total FROM orders", partition_on="id", partition_num=3, return_type="arrow").num_rows)
    attempt("missing table", lambda: connectorx.read_sql(url, "SELECT * FROM nowhere"))


def with_adbc():
    import pyarrow
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(url) as connection, connection.cursor() as cursor:
        def read(sql, parameters=None):
            cursor.execute(sql, parameters)
            return cursor.fetch_arrow_table().to_pylist()

        attempt("products", lambda: read(PRODUCTS))
        attempt("customers", lambda: read(CUSTOMERS))
        attempt("parameters", lambda: read("SELECT id, title FROM products WHERE id = $1", (2,)))
        attempt("tables", lambda: len(connection.adbc_get_objects(depth="tables", db_schema_filter="public").read_all()))
        attempt("table schema", lambda: connection.adbc_get_table_schema("orders").names)
        attempt("ingest", lambda: cursor.adbc_ingest("frame", pyarrow.table({"id": [1, 2], "name": ["a", "b"]}), mode="create", db_schema_name="scratch"))
        attempt("append", lambda: cursor.adbc_ingest("frame", pyarrow.table({"id": [3], "name": ["c"]}), mode="append", db_schema_name="scratch"))
        connection.commit()
        attempt("read back", lambda: read("SELECT * FROM scratch.frame ORDER BY id"))
        attempt("update", lambda: cursor.execute("UPDATE products SET stock = 3 WHERE id = 1") and "ok")
        connection.rollback()
        attempt("missing table", lambda: read("SELECT * FROM nowhere"))
        connection.rollback()


{"pandas": with_pandas, "polars": with_polars, "connectorx": with_connectorx, "adbc": with_adbc}[sys.argv[1]]()
