"""Superset: its own server in this process, asked over its HTTP API as its pages ask it."""

import contextlib
import logging
import os
import re
import shutil
import subprocess
import sys

from say import attempt, fail

CONFIG = '''SECRET_KEY = "of a test: it signs nothing that anybody else reads"
SQLALCHEMY_DATABASE_URI = "sqlite:///" + __file__.replace("superset_config.py", "superset.db") + "?check_same_thread=false"
WTF_CSRF_ENABLED = False
TALISMAN_ENABLED = False
RATELIMIT_ENABLED = False
PREVENT_UNSAFE_DB_CONNECTIONS = False
ALLOW_ADHOC_SUBQUERY = True
SQL_QUERY_MUTATOR = None
FEATURE_FLAGS = {"ESTIMATE_QUERY_COST": True, "DRILL_BY": True}
'''
here = os.getcwd()
made = os.path.join(os.environ["INSTALLED"], "home")
os.environ.update(SUPERSET_HOME=here, FLASK_APP="superset")


def prepared():
    """Superset's own database, of SQLite. Made once, since that takes minutes."""
    if os.path.exists(os.path.join(made, "superset.db")):
        return
    shutil.rmtree(made, ignore_errors=True)
    os.makedirs(made + ".new", exist_ok=True)
    with open(os.path.join(made + ".new", "superset_config.py"), "w") as file:
        file.write(CONFIG)
    program = os.path.join(os.path.dirname(sys.executable), "superset")
    environment = {**os.environ, "SUPERSET_HOME": made + ".new", "PYTHONPATH": made + ".new"}
    person = ("--username", "admin", "--firstname", "A", "--lastname", "B", "--email", "admin@shop.example", "--password", "admin")
    for command in (("db", "upgrade"), ("fab", "create-admin", *person), ("init",)):
        done = subprocess.run([program, *command], env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            fail(f"superset {' '.join(command)}: {(done.stdout + done.stderr)[-2000:]}")
    os.rename(made + ".new", made)


prepared()
for name in ("superset_config.py", "superset.db"):
    shutil.copyfile(os.path.join(made, name), os.path.join(here, name))
sys.path.insert(0, here)
logging.disable(logging.CRITICAL)
from superset.app import create_app  # noqa: E402

# It prints where its configuration is.
with contextlib.redirect_stdout(sys.stderr):
    client = create_app().test_client()
login = client.post("/api/v1/security/login", json={"username": "admin", "password": "admin", "provider": "db", "refresh": False})
if login.status_code != 200:
    fail(f"no login: {login.text[-2000:]}")
KEY = {"Authorization": f"Bearer {login.json['access_token']}"}

# When and how long, and numbers and addresses that are not the lane's doing.
DULL = re.compile(r"^(.*(_on|_at|Dttm|_dttm|_humanized|duration|_ts|timestamp)|uuid|cache.*|ctime|.*progress|client_id|queryId|query_id|trackingUrl|stacktrace|resultsKey|server_id|sqlalchemy_uri|changed_by.*|created_by.*)$")


def plain(value):
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in sorted(value.items()) if not DULL.match(str(name))}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return re.sub(r"port \d+", "port N", value) if isinstance(value, str) else value


def ask(method, path, body=None):
    answer = client.open(f"/api/v1/{path}", method=method, headers=KEY, **({} if body is None else {"json": body}))
    return answer.status_code, answer.get_json(silent=True) if answer.is_json else answer.text[:2000]


def shown(method, path, body=None):
    status, answer = ask(method, path, body)
    return [status, plain(answer)]


DATABASE = {
    "database_name": "shop",
    "sqlalchemy_uri": "postgresql+psycopg2://{PGUSER}:{PGPASSWORD}@{PGHOST}:{PGPORT}/{PGDATABASE}".format(**os.environ),
    "expose_in_sqllab": True,
    "allow_ctas": True,
    "allow_cvas": True,
    "allow_dml": True,
}
attempt("test the connection", lambda: shown("POST", "database/test_connection/", {key: DATABASE[key] for key in ("database_name", "sqlalchemy_uri")}))
status, added = ask("POST", "database/", DATABASE)
if status != 201:
    fail(f"the database could not be added: {status} {added}")
db = added["id"]
attempt("catalogs", lambda: sorted(ask("GET", f"database/{db}/catalogs/")[1]["result"]))
attempt("schemas", lambda: sorted(ask("GET", f"database/{db}/schemas/?q=(force:!t)")[1]["result"]))
for schema in ("public", "scratch", "information_schema"):
    attempt(f"tables of {schema}", lambda schema=schema: shown("GET", f"database/{db}/tables/?q=(force:!t,schema_name:{schema})"))
for table in ("customers", "orders", "order_lines", "products", "customer_totals"):
    attempt(f"{table}: metadata", lambda table=table: shown("GET", f"database/{db}/table_metadata/?name={table}&schema=public"))
    attempt(f"{table}: more metadata", lambda table=table: shown("GET", f"database/{db}/table_metadata/extra/?name={table}&schema=public"))
    attempt(f"{table}: select star", lambda table=table: shown("GET", f"database/{db}/select_star/{table}/public/"))

# Datasets: their columns are read from the database, from a table or from a query.
sets = {}


def dataset(name, sql=None):
    body = {"database": db, "schema": "public", "table_name": name, **({} if sql is None else {"sql": sql})}
    status, answer = ask("POST", "dataset/", body)
    sets[name] = answer.get("id")
    if sets[name] is None:
        return [status, plain(answer)]
    columns = ask("GET", f"dataset/{sets[name]}")[1]["result"]["columns"]
    return [status, sorted([one["column_name"], one["type"], one["is_dttm"]] for one in columns)]


for table in ("customers", "orders", "products", "customer_totals"):
    attempt(f"dataset {table}", lambda table=table: dataset(table))
attempt("dataset of a query", lambda: dataset("sales", "SELECT o.id, o.placed_at, o.state, o.total, c.name, c.email FROM orders o JOIN customers c ON c.id = o.customer_id"))
attempt("dataset of a query that groups", lambda: dataset("by_state", "SELECT state, count(*) AS orders, sum(total) AS total FROM orders GROUP BY state"))
attempt("dataset: columns again", lambda: shown("PUT", f"dataset/{sets['orders']}/refresh"))


METRICS = {
    "count": {"expressionType": "SQL", "sqlExpression": "COUNT(*)", "label": "count"},
    "total": {"expressionType": "SIMPLE", "column": {"column_name": "total"}, "aggregate": "SUM", "label": "total"},
    "customers": {"expressionType": "SQL", "sqlExpression": "COUNT(DISTINCT customer_id)", "label": "customers"},
    "most": {"expressionType": "SIMPLE", "column": {"column_name": "total"}, "aggregate": "MAX", "label": "most"},
    "addresses": {"expressionType": "SQL", "sqlExpression": "COUNT(email)", "label": "addresses"},
}


def chart(name, result_type="full", **query):
    """What a chart of this dataset asks for."""
    asked = {"filters": [], "extras": {}, "row_limit": 100, "orderby": [], "annotation_layers": [], "url_params": {}, **query}
    asked["metrics"] = [METRICS[one] for one in query["metrics"]] if "metrics" in query else None
    status, answer = ask("POST", "chart/data", {"datasource": {"id": sets[name], "type": "table"}, "force": True, "queries": [asked], "result_format": "json", "result_type": result_type})
    if status != 200:
        return [status, plain(answer)]
    return [status, [{key: plain(one.get(key)) for key in ("data", "error", "rowcount", "colnames", "query")} for one in answer["result"]]]


MONTHS = {"columnType": "BASE_AXIS", "expressionType": "SQL", "label": "placed_at", "sqlExpression": "placed_at", "timeGrain": "P1M"}
attempt("chart: a big number", lambda: chart("orders", metrics=["count"]))
attempt("chart: a pie", lambda: chart("orders", columns=["state"], metrics=["count", "total"], orderby=[["total", False]]))
attempt("chart: time by month", lambda: chart("orders", columns=[MONTHS, "state"], metrics=["total"], time_range="2026-01-01 : 2027-01-01", extras={"time_grain_sqla": "P1M"}, granularity="placed_at", orderby=[["total", False]]))
attempt("chart: a series with the largest only", lambda: chart("orders", columns=["customer_id"], metrics=["total"], series_columns=["customer_id"], series_limit=2, series_limit_metric=METRICS["total"], orderby=[["total", False]], row_limit=5))
attempt("chart: filters", lambda: chart("orders", columns=["customer_id"], metrics=["count", "customers"], filters=[{"col": "state", "op": "IN", "val": ["open", "paid"]}, {"col": "total", "op": ">", "val": 10}], extras={"having": "COUNT(*) > 0", "where": "total < 80"}, orderby=[["count", False]]))
attempt("chart: rows of a table", lambda: chart("customers", columns=["id", "name", "email", "notes"], orderby=[["id", True]], row_limit=3))
attempt("chart: groups of a table", lambda: chart("customers", columns=["id", "name", "email", "notes"], metrics=[], orderby=[["id", True]], row_limit=3))
attempt("chart: rows of a view", lambda: chart("customer_totals", columns=["id", "email", "orders", "total"], orderby=[["id", True]], row_limit=3))
attempt("chart: rows of a query", lambda: chart("sales", columns=["id", "name", "email", "total"], orderby=[["id", True]], row_limit=3))
attempt("chart: a query that groups", lambda: chart("by_state", columns=["state"], metrics=["most"], orderby=[["state", True]]))
attempt("chart: by name", lambda: chart("sales", columns=["name"], metrics=["total"], orderby=[["total", False]], row_limit=3))
attempt("chart: by a masked column", lambda: chart("sales", columns=["email"], metrics=["total"], row_limit=3))
attempt("chart: a masked column counted", lambda: chart("customers", metrics=["addresses"]))
attempt("chart: a masked column filtered", lambda: chart("customers", columns=["id", "name"], filters=[{"col": "email", "op": "==", "val": "customer3@shop.example"}]))
for name in ("customers", "orders", "sales"):
    attempt(f"samples of {name}", lambda name=name: chart(name, "samples", row_limit=3))
attempt("drill to detail", lambda: chart("sales", "drill_detail", filters=[{"col": "state", "op": "==", "val": "open"}], row_limit=3))
attempt("chart: rows in all", lambda: chart("orders", metrics=["count"], is_rowcount=True))


def values(name, column):
    """What a filter offers; the server groups an enum by its numbers, which are others in each database."""
    status, answer = ask("GET", f"datasource/table/{sets[name]}/column/{column}/values/")
    return [status, sorted(answer["result"]) if "result" in answer else answer]


for column in ("state", "customer_id"):
    attempt(f"values of {column} for a filter", lambda column=column: values("orders", column))
attempt("values of a masked column for a filter", lambda: values("customers", "email"))

# SQL Lab, with limits of its own.
DONE = ("status", "data", "columns", "error", "errors", "message")


def lab(sql, **options):
    body = {"database_id": db, "sql": sql, "schema": "public", "runAsync": False, "queryLimit": 3, "client_id": os.urandom(5).hex(), "expand_data": True, "tab": "one", **options}
    status, answer = ask("POST", "sqllab/execute/", body)
    if not isinstance(answer, dict):
        return [status, answer]
    return [status, plain({key: answer[key] for key in DONE if key in answer}), (answer.get("query") or {}).get("executedSql")]


attempt("lab: rows, limited", lambda: lab("SELECT * FROM customers ORDER BY id"))
attempt("lab: a limit in the text", lambda: lab("SELECT id, email FROM customers ORDER BY id LIMIT 2"))
attempt("lab: a comment and a CTE", lambda: lab("-- who buys\nWITH b AS (SELECT customer_id, sum(total) AS t FROM orders GROUP BY 1)\nSELECT c.id, c.email, b.t FROM customers c JOIN b ON b.customer_id = c.id ORDER BY c.id"))
attempt("lab: json and an enum", lambda: lab("SELECT id, state, details, details->>'channel' AS channel FROM orders ORDER BY id"))
attempt("lab: several statements", lambda: lab("SELECT 1 AS a; SELECT count(*) FROM orders; SELECT id FROM products ORDER BY id"))
attempt("lab: explain", lambda: lab("EXPLAIN (COSTS off) SELECT * FROM orders WHERE id = 1"))
attempt("lab: show", lambda: lab("SHOW search_path"))
attempt("lab: estimate", lambda: shown("POST", "sqllab/estimate/", {"database_id": db, "sql": "SELECT * FROM products", "schema": "public"})[0])
attempt("lab: insert", lambda: lab("INSERT INTO products (sku, title, price) VALUES ('S-1', 'x', 1)"))
attempt("lab: delete", lambda: lab("DELETE FROM products WHERE sku = 'S-1'"))
attempt("lab: create table as", lambda: lab("SELECT state, count(*) AS n FROM public.orders GROUP BY state", select_as_cta=True, ctas_method="TABLE", tmp_table_name="s_states", schema="scratch"))
attempt("lab: create view as", lambda: lab("SELECT id, total FROM public.orders", select_as_cta=True, ctas_method="VIEW", tmp_table_name="s_orders", schema="scratch"))
attempt("lab: drop them", lambda: lab("DROP VIEW IF EXISTS scratch.s_orders; DROP TABLE IF EXISTS scratch.s_states"))
attempt("lab: no such table", lambda: lab("SELECT * FROM nowhere"))
attempt("lab: syntax", lambda: lab("SELECT FROM WHERE"))
attempt("lab: division", lambda: lab("SELECT 1/0"))
attempt("lab: what a detector found", lambda: lab("SELECT id, notes FROM customers WHERE id = 7"))
