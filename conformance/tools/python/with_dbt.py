"""dbt: debug, seed, run (table, view, incremental), snapshot, test, docs, in the schema scratch."""

import os
import re

from say import attempt

FILES = {
    "dbt_project.yml": "name: shop\nversion: '1.0'\nprofile: shop\nmodels: {shop: {+materialized: view}}\nflags: {send_anonymous_usage_stats: false}\n",
    "profiles.yml": """shop:
  target: dev
  outputs:
    dev: {{type: postgres, host: {PGHOST}, port: {PGPORT}, user: {PGUSER}, password: "{PGPASSWORD}", dbname: {PGDATABASE}, schema: scratch, threads: 1}}
""".format(**os.environ),
    "seeds/regions.csv": "id,name\n1,north\n2,south\n",
    "models/sources.yml": "version: 2\nsources:\n  - name: shop\n    schema: public\n    tables: [{name: orders}, {name: customers}, {name: products}]\nmodels:\n  - name: by_state\n    description: orders by state\n    columns:\n      - name: state\n        data_tests: [unique, not_null]\n  - name: big_orders\n    columns:\n      - name: customer_id\n        data_tests:\n          - relationships: {to: \"source('shop', 'customers')\", field: id}\n",
    "models/open_orders.sql": "select id, customer_id, total from {{ source('shop', 'orders') }} where state = 'open'\n",
    "models/by_state.sql": "{{ config(materialized='table', indexes=[{'columns': ['state']}]) }}\nselect state, count(*) as orders, sum(total) as total from {{ source('shop', 'orders') }} group by 1\n",
    "models/big_orders.sql": "{{ config(materialized='incremental', unique_key='id') }}\nselect id, customer_id, total from {{ source('shop', 'orders') }} where total > 40 {% if is_incremental() %} and id > (select max(id) from {{ this }}) {% endif %}\n",
    "models/masked_view.sql": "select id, name, email from {{ source('shop', 'customers') }}\n",
    "models/masked_table.sql": "{{ config(materialized='table') }}\nselect id, name, email from {{ source('shop', 'customers') }}\n",
    "models/by_customer.sql": "{{ config(materialized='table') }}\nselect c.id, c.name, count(o.id) as orders from {{ source('shop', 'customers') }} c left join {{ ref('open_orders') }} o on o.customer_id = c.id group by 1, 2\n",
    "snapshots/prices.sql": "{% snapshot prices %}{{ config(target_schema='scratch', unique_key='id', strategy='check', check_cols=['price']) }}select id, sku, price from {{ source('shop', 'products') }}{% endsnapshot %}\n",
    "tests/no_negative.sql": "select * from {{ ref('big_orders') }} where total < 0\n",
}
for name, text in FILES.items():
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    with open(name, "w") as file:
        file.write(text)

os.environ |= {"DBT_PROFILES_DIR": ".", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
from dbt.cli.main import dbtRunner  # noqa: E402: it reads the variables

dbt = dbtRunner()


def run(*arguments):
    """What became of each node; where, when and how long is not the lane's doing."""
    done = dbt.invoke(["--quiet", "--no-use-colors", "--log-level-file", "none", *arguments])
    if done.exception is not None:
        return [done.success, str(done.exception).split("\n")]
    nodes = getattr(done.result, "results", None) or []
    return [done.success, [[one.node.name, str(one.status), told(one.message)] for one in nodes if hasattr(one, "status")]]


def told(message):
    return [re.sub(r"port \d+", "port N", line) for line in (message or "").split("\n")]


attempt("debug", lambda: run("debug", "--connection")[0])
attempt("seed", lambda: run("seed"))
attempt("seed again", lambda: run("seed"))
for model in ("open_orders", "by_state", "big_orders", "by_customer", "masked_view", "masked_table"):
    attempt(f"run {model}", lambda model=model: run("run", "--select", model))
attempt("run again", lambda: run("run", "--exclude", "masked_table"))
attempt("full refresh", lambda: run("run", "--full-refresh", "--select", "big_orders"))
attempt("snapshot", lambda: run("snapshot"))
attempt("snapshot again", lambda: run("snapshot"))
attempt("test", lambda: run("test"))
attempt("docs", lambda: run("docs", "generate")[0])
