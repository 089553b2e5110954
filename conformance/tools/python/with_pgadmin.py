"""pgAdmin: its own server in this process, asked over its HTTP API as its pages ask it."""

import builtins
import json
import os
import re
import sys

from say import attempt, fail

here = os.getcwd()
builtins.SERVER_MODE = False
package = next(p for p in sys.path if os.path.isdir(os.path.join(p, "pgadmin4")))
sys.path.insert(0, os.path.join(package, "pgadmin4"))
import config  # noqa: E402

config.SERVER_MODE = False
config.DATA_DIR = here
config.SQLITE_PATH = os.path.join(here, "pgadmin.db")
config.SESSION_DB_PATH = os.path.join(here, "sessions")
config.STORAGE_DIR = os.path.join(here, "storage")
config.LOG_FILE = os.path.join(here, "pgadmin.log")
config.AZURE_CREDENTIAL_CACHE_DIR = os.path.join(here, "azure")
config.MASTER_PASSWORD_REQUIRED = False
config.WTF_CSRF_ENABLED = False
config.UPGRADE_CHECK_ENABLED = False
config.CONSOLE_LOG_LEVEL = 100
from pgadmin import create_app  # noqa: E402

app = create_app()
app.PGADMIN_INT_KEY, app.PGADMIN_RUNTIME = "", False
app.config["WTF_CSRF_ENABLED"] = False
app.run_before_app_start()
client = app.test_client()


def ask(method, path, body=None):
    options = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
    answer = client.open(path, method=method, headers={"X-Requested-With": "XMLHttpRequest"}, **options)
    text = answer.data.decode()
    try:
        return answer.status_code, json.loads(text)
    except ValueError:
        return answer.status_code, text[:2000]


# Where, when and how long, process and object ids are not the lane's doing.
DULL = re.compile(r"^(oid|_?id|pid|port|did|_pid|backend_start|query_start|xact_start|state_change|active_since|relfilenode|start|duration|datid|relowner|time|host|.*[Ss]ize.*|Last .*|stats_reset|server|transactionid|virtualxid|virtualtransaction|tid|scid|rid|icon_?\w*|scowner|_type_id|typeoid)$")


# Since the minor releases of November 2026 a server keeps a number of its own with each column.
VERSION = "pg_attver"


def plain(value, oids=re.compile(r"\b\d{4,7}\b"), versions=re.compile(rf"({VERSION}=)\d+")):
    if isinstance(value, dict):
        if value.get("name") == VERSION:
            return {**value, "value": "N"}
        return {key: plain(inner) for key, inner in value.items() if not DULL.match(str(key))}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool) and value > 9999:
        return "N"
    return oids.sub("N", versions.sub(r"\1N", value)) if isinstance(value, str) else value


def shown(method, path, body=None):
    status, answer = ask(method, path, body)
    return [status, plain(answer)]


ask("GET", "/browser/")
status, made = ask("POST", "/browser/server/obj/1/", {
    "name": "shop", "host": os.environ["PGHOST"], "port": int(os.environ["PGPORT"]),
    "db": os.environ["PGDATABASE"], "username": os.environ["PGUSER"], "role": "", "sslmode": "disable",
    "password": os.environ["PGPASSWORD"], "connect_now": True, "save_password": False,
    "connection_params": [{"name": "sslmode", "value": "disable", "keyword": "sslmode"}],
    "maintenance_db": os.environ["PGDATABASE"],
})
if status != 200:
    fail(f"the server could not be added: {status} {made}")
sid = made["node"]["_id"]
attempt("connected", lambda: [made["node"]["connected"], made["node"]["server_type"]])


def nodes(path):
    """Children of a node of the browser tree: label → id."""
    status, answer = ask("GET", f"/browser/{path}")
    found = (answer.get("data") or answer.get("result") or []) if isinstance(answer, dict) else []
    if status != 200:
        raise RuntimeError(str(answer))
    return {child["label"]: child["_id"] for child in found if isinstance(child, dict)}


databases = attempt("databases", lambda: sorted(nodes(f"database/nodes/1/{sid}/"))) or []
did = nodes(f"database/nodes/1/{sid}/")[os.environ["PGDATABASE"]]
ask("POST", f"/browser/database/connect/1/{sid}/{did}", {})
place = f"1/{sid}/{did}"
attempt("server properties", lambda: shown("GET", f"/browser/server/obj/1/{sid}")[0])
attempt("database properties", lambda: shown("GET", f"/browser/database/obj/1/{sid}/{did}"))
attempt("database sql", lambda: shown("GET", f"/browser/database/sql/1/{sid}/{did}"))
attempt("database statistics", lambda: shown("GET", f"/browser/database/stats/1/{sid}/{did}")[0])
attempt("dependents of the database", lambda: shown("GET", f"/browser/database/dependent/1/{sid}/{did}"))
for kind in ("extension", "language", "publication", "subscription", "cast", "event_trigger", "foreign_data_wrapper"):
    attempt(f"{kind}s", lambda kind=kind: sorted(nodes(f"{kind}/nodes/{place}/")))
attempt("roles", lambda: shown("GET", f"/browser/role/nodes/1/{sid}/")[0])
attempt("tablespaces", lambda: sorted(nodes(f"tablespace/nodes/1/{sid}/")))
attempt("schemas", lambda: sorted(nodes(f"schema/nodes/{place}/")))
schemas = nodes(f"schema/nodes/{place}/")
public, scratch = schemas["public"], schemas["scratch"]
attempt("schema sql", lambda: shown("GET", f"/browser/schema/sql/{place}/{public}"))
for kind in ("table", "view", "mview", "sequence", "function", "trigger_function", "procedure", "type", "domain", "collation", "foreign_table", "aggregate", "operator", "fts_configuration", "synonym"):
    if kind == "synonym":
        continue
    attempt(f"{kind} nodes", lambda kind=kind: sorted(nodes(f"{kind}/nodes/{place}/{public}/")))
attempt("tables with properties", lambda: shown("GET", f"/browser/table/obj/{place}/{public}/"))
attempt("statistics of all tables", lambda: shown("GET", f"/browser/table/stats/{place}/{public}")[0])
tables = nodes(f"table/nodes/{place}/{public}/")
for name, tid in sorted(tables.items()):
    attempt(f"{name}: properties", lambda tid=tid: shown("GET", f"/browser/table/obj/{place}/{public}/{tid}"))
    attempt(f"{name}: sql", lambda tid=tid: shown("GET", f"/browser/table/sql/{place}/{public}/{tid}"))
    attempt(f"{name}: statistics", lambda tid=tid: shown("GET", f"/browser/table/stats/{place}/{public}/{tid}")[0])
    attempt(f"{name}: dependencies", lambda tid=tid: shown("GET", f"/browser/table/dependency/{place}/{public}/{tid}"))
    attempt(f"{name}: dependents", lambda tid=tid: shown("GET", f"/browser/table/dependent/{place}/{public}/{tid}"))
    attempt(f"{name}: rows", lambda tid=tid: shown("GET", f"/sqleditor/get_count/{tid}")[0])
    for kind in ("column", "index", "primary_key", "unique_constraint", "foreign_key", "trigger", "rule"):
        attempt(f"{name}: {kind} nodes", lambda tid=tid, kind=kind: sorted(nodes(f"{kind}/nodes/{place}/{public}/{tid}/")))
    columns = nodes(f"column/nodes/{place}/{public}/{tid}/")
    for column, cid in sorted(columns.items()):
        attempt(f"{name}.{column}: sql", lambda tid=tid, cid=cid: shown("GET", f"/browser/column/sql/{place}/{public}/{tid}/{cid}"))
        attempt(f"{name}.{column}: statistics", lambda tid=tid, cid=cid: shown("GET", f"/browser/column/stats/{place}/{public}/{tid}/{cid}"))
    for index, iid in sorted(nodes(f"index/nodes/{place}/{public}/{tid}/").items()):
        attempt(f"{name}, {index}: sql", lambda tid=tid, iid=iid: shown("GET", f"/browser/index/sql/{place}/{public}/{tid}/{iid}"))
        attempt(f"{name}, {index}: statistics", lambda tid=tid, iid=iid: shown("GET", f"/browser/index/stats/{place}/{public}/{tid}/{iid}")[0])
views = nodes(f"view/nodes/{place}/{public}/")
for name, vid in sorted(views.items()):
    attempt(f"{name}: sql", lambda vid=vid: shown("GET", f"/browser/view/sql/{place}/{public}/{vid}"))
for name, fid in sorted(nodes(f"trigger_function/nodes/{place}/{public}/").items()):
    attempt(f"{name}: sql", lambda fid=fid: shown("GET", f"/browser/trigger_function/sql/{place}/{public}/{fid}"))
for name, tid in sorted(nodes(f"type/nodes/{place}/{public}/").items()):
    attempt(f"{name}: sql", lambda tid=tid: shown("GET", f"/browser/type/sql/{place}/{public}/{tid}"))

charts = "session_stats,tps_stats,ti_stats,to_stats,bio_stats"
attempt("dashboard of the database", lambda: shown("GET", f"/dashboard/dashboard_stats/{sid}/{did}?chart_names={charts}")[0])
attempt("dashboard of the server", lambda: shown("GET", f"/dashboard/dashboard_stats/{sid}?chart_names={charts}")[0])
for page in ("activity", "locks", "prepared"):
    attempt(f"dashboard: {page}", lambda page=page: shown("GET", f"/dashboard/{page}/{sid}/{did}")[0])
attempt("dashboard: config", lambda: shown("GET", f"/dashboard/config/{sid}")[0])

# The query tool, as its pages do it: open, start, poll, fetch, close.
QUERY = 4711
attempt("query tool", lambda: shown("POST", f"/sqleditor/initialize/sqleditor/{QUERY}/1/{sid}/{did}", {"dbname": os.environ["PGDATABASE"], "user": os.environ["PGUSER"], "password": os.environ["PGPASSWORD"]})[0])


def query(sql):
    ask("POST", f"/sqleditor/query_tool/start/{QUERY}", {"sql": sql, "explain_plan": None})
    for _ in range(200):
        status, answer = ask("GET", f"/sqleditor/poll/{QUERY}")
        data = answer.get("data", {}) if isinstance(answer, dict) else {}
        if data.get("status") != "Busy":
            break
    return [status, data.get("status"), plain(data.get("result")), data.get("rows_affected")]


attempt("select", lambda: query("SELECT * FROM customers ORDER BY id LIMIT 3"))
attempt("count", lambda: query("SELECT count(*), count(email) FROM customers"))
attempt("error", lambda: query("SELECT * FROM nowhere")[:2])
attempt("insert", lambda: query("INSERT INTO products (sku, title, price) VALUES ('P-1', 'x', 1) RETURNING sku"))
attempt("script", lambda: query("CREATE TABLE scratch.p (id int PRIMARY KEY); ALTER TABLE scratch.p ADD COLUMN t text; INSERT INTO scratch.p VALUES (1, 'a'); SELECT * FROM scratch.p;"))
attempt("explain", lambda: query("EXPLAIN (FORMAT JSON, COSTS off) SELECT * FROM orders WHERE id = 1")[:2])

# View data: the grid of a table, and a change of one cell.
GRID = 4712
orders, products = tables["orders"], tables["products"]


def grid(tid):
    opened = ask("POST", f"/sqleditor/initialize/viewdata/{GRID}/3/table/1/{sid}/{did}/{tid}", {"dbname": os.environ["PGDATABASE"], "user": os.environ["PGUSER"], "password": os.environ["PGPASSWORD"]})
    if opened[0] != 200:
        return plain(list(opened))
    ask("GET", f"/sqleditor/view_data/start/{GRID}")
    status, answer = ask("GET", f"/sqleditor/poll/{GRID}")
    data = answer.get("data", {}) if isinstance(answer, dict) else {}
    return [status, plain(data.get("result") or [])[:2], data.get("rows_affected"), data.get("primary_keys")]


attempt("grid of customers", lambda: grid(tables["customers"]))
attempt("grid of products", lambda: grid(products))

attempt("create a table", lambda: shown("POST", f"/browser/table/obj/{place}/{scratch}/", {
    "name": "made", "schema": "scratch", "relowner": os.environ["PGUSER"], "is_partitioned": False,
    "columns": [{"name": "id", "cltype": "integer", "attnotnull": True, "is_primary_key": True}, {"name": "note", "cltype": "text"}],
    "primary_key": [{"columns": [{"column": "id"}], "include": []}],
    "coll_inherits": [], "hastoasttable": True, "relpersistence": False, "seclabels": [], "relacl": [], "typname": "",
    "description": "made here", "fillfactor": "", "spcname": "pg_default", "vacuum_table": [], "vacuum_toast": [],
    "unique_constraint": [], "foreign_key": [], "check_constraint": [], "exclude_constraint": [],
})[0])
own = nodes(f"table/nodes/{place}/{scratch}/")
attempt("its sql", lambda: shown("GET", f"/browser/table/sql/{place}/{scratch}/{own['made']}"))
attempt("change the table", lambda: shown("PUT", f"/browser/table/obj/{place}/{scratch}/{own['made']}", {"description": "changed", "columns": {"added": [{"name": "more", "cltype": "integer"}]}})[0])
attempt("truncate the table", lambda: shown("PUT", f"/browser/table/truncate/{place}/{scratch}/{own['made']}", {"cascade": False})[0])
attempt("drop the table", lambda: shown("DELETE", f"/browser/table/obj/{place}/{scratch}/{own['made']}")[0])
attempt("maintenance", lambda: query("VACUUM ANALYZE scratch.p"))
attempt("close", lambda: shown("DELETE", f"/sqleditor/close/{QUERY}")[0])
attempt("disconnect", lambda: shown("DELETE", f"/browser/server/connect/1/{sid}")[0])
sys.stdout.flush()
os._exit(0)
