"""pgcli: what completion reads, its commands, work with data."""

import os
import subprocess
import sys

from say import attempt

COMMANDS = (
    r"\d", r"\dt", r"\dv", r"\dn", r"\df", r"\dT", r"\du", r"\di", r"\ds", r"\l", r"\d public.customers", r"\d+ public.orders", r"\sf public.count_change",
    "select * from customers order by id limit 2",
    "select id from customers where email = 'customer3@shop.example'",
    "select state, count(*) from orders group by state order by state",
    "insert into products (sku, title, price) values ('P-1', 'x', 1) returning sku",
    "delete from products where sku = 'P-1'",
    "create table scratch.p (id int primary key, note text); insert into scratch.p values (1, 'a'); select * from scratch.p",
    "alter table scratch.p add column at date; drop table scratch.p",
    "select * from missing",
    "select 1/0",
)


def run(command):
    """What it prints, without the time it took."""
    program = os.path.join(os.path.dirname(sys.executable), "pgcli")
    done = subprocess.run([program, "--less-chatty", "-w", "-y", "-c", command], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)
    lines = (done.stdout + done.stderr).rstrip().split("\n")
    return [done.returncode, *(line.rstrip() for line in lines if not line.startswith("Time: "))]


def completion():
    from pgcli.pgexecute import PGExecute

    database, user, password, host, port = (os.environ[name] for name in ("PGDATABASE", "PGUSER", "PGPASSWORD", "PGHOST", "PGPORT"))
    reader = PGExecute(database, user, password, host, port)
    for name in ("search_path", "schemata", "tables", "views", "table_columns", "view_columns", "foreignkeys", "databases", "functions", "datatypes", "casing"):
        attempt(f"completion: {name}", lambda name=name: sorted(str(one) for one in getattr(reader, name)()))


completion()
for command in COMMANDS:
    attempt(command, lambda command=command: run(command))
