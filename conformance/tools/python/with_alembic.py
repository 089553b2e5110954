"""Alembic: autogenerate against the database, upgrade, downgrade, its version table in scratch."""

import io
import os

from alembic import command
from alembic.config import Config
from say import attempt

ENV = '''
from alembic import context
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, create_engine
import os
metadata = MetaData(schema="scratch")
Table("teams", metadata, Column("id", Integer, primary_key=True), Column("name", String(40), nullable=False, unique=True), comment="who")
Table("people", metadata, Column("id", Integer, primary_key=True), Column("team", ForeignKey("scratch.teams.id")), Column("name", String, server_default="x", index=True))
engine = create_engine(os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:"))
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=metadata, include_schemas=True, version_table_schema="scratch",
        include_name=lambda name, kind, parents: kind != "schema" or name == "scratch")
    with context.begin_transaction():
        context.run_migrations()
'''
os.makedirs("migrations/versions")
with open("migrations/env.py", "w") as file:
    file.write(ENV)
with open("migrations/script.py.mako", "w") as file:
    file.write('revision = ${repr(up_revision)}\ndown_revision = ${repr(down_revision)}\nfrom alembic import op\nimport sqlalchemy as sa\n${imports or ""}\ndef upgrade():\n    ${upgrades or "pass"}\n\ndef downgrade():\n    ${downgrades or "pass"}\n')
out = io.StringIO()
config = Config(stdout=out)
config.set_main_option("script_location", "migrations")
attempt("autogenerate", lambda: command.revision(config, "first", autogenerate=True, rev_id="1") and "ok")
attempt("upgrade", lambda: command.upgrade(config, "head"))
attempt("check", lambda: command.check(config))
attempt("second", lambda: command.revision(config, "second", rev_id="2") and "ok")
path = "migrations/versions/2_second.py"
text = open(path).read().replace("    pass", '    op.execute("create table scratch.extra (id int); alter table scratch.extra add b int")\n    op.add_column("teams", sa.Column("city", sa.Text), schema="scratch")\n    op.alter_column("people", "name", new_column_name="title", schema="scratch")', 1)
with open(path, "w") as file:
    file.write(text.replace("    pass", '    op.alter_column("people", "title", new_column_name="name", schema="scratch")\n    op.drop_column("teams", "city", schema="scratch")\n    op.drop_table("extra", schema="scratch")'))
attempt("upgrade again", lambda: command.upgrade(config, "head"))
attempt("current", lambda: command.current(config))
attempt("downgrade", lambda: command.downgrade(config, "base"))
