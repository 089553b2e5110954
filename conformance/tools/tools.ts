import { join } from 'node:path';
import type { Outputs } from '../suite.ts';
import { HERE } from './install.ts';
import { pgDump } from './pg-dump.ts';
import { pgbench } from './pgbench.ts';
import { psql } from './psql.ts';
import { saidCases } from './said-cases.ts';
import type { Tool, ToolContext } from './tool.ts';

/** In the order in which they run. */
export const TOOLS: readonly Tool[] = [
  psql,
  pgDump,
  pgbench,
  python('pgcli', 'pgcli', 'with_pgcli.py'),
  python('pg_activity', 'pg-activity', 'with_pg_activity.py'),
  python('psycopg 3', 'psycopg', 'with_drivers.py', ['psycopg']),
  python('asyncpg', 'asyncpg', 'with_drivers.py', ['asyncpg']),
  python('SQLAlchemy', 'SQLAlchemy', 'with_sqlalchemy.py'),
  python('Alembic', 'alembic', 'with_alembic.py'),
  python('Django', 'Django', 'with_django.py'),
  python('pandas', 'pandas', 'with_frames.py', ['pandas']),
  python('polars', 'polars', 'with_frames.py', ['polars']),
  python('connectorx', 'connectorx', 'with_frames.py', ['connectorx']),
  python('ADBC', 'adbc-driver-postgresql', 'with_frames.py', ['adbc']),
  { ...python('dbt', 'dbt-core', 'with_dbt.py'), source: 'dbt' },
  { ...python('pgAdmin', 'pgadmin4', 'with_pgadmin.py'), source: 'pgadmin' },
  { ...python('Superset', 'apache_superset', 'with_superset.py'), source: 'superset' },
  node('node-postgres', 'pg'),
  node('postgres.js', 'postgres'),
  node('Knex', 'knex'),
  node('Sequelize', 'sequelize'),
  node('TypeORM', 'typeorm'),
  node('Drizzle', 'drizzle-orm'),
  node('Prisma', 'prisma'),
  java('Hibernate', 'hibernate-core', 'WithHibernate'),
  java('jOOQ', 'jooq', 'WithJooq'),
  java('Liquibase', 'liquibase-core', 'WithLiquibase'),
  java('Flyway', 'flyway-core', 'WithFlyway'),
];

function node(name: string, module: string): Tool {
  return {
    name,
    source: 'node',
    package: module,
    run: (context) =>
      said(context, process.execPath, [join(context.installed, `with-${module}.mjs`)]),
  };
}

function python(name: string, module: string, program: string, args: readonly string[] = []): Tool {
  return {
    name,
    source: 'python',
    package: module,
    run: (context) => {
      const file = join(HERE, 'python', program);
      return said(context, join(context.installed, 'venv/bin/python'), ['-B', file, ...args]);
    },
  };
}

function java(name: string, artifact: string, main: string): Tool {
  return {
    name,
    source: 'java',
    package: artifact,
    run: (context) => {
      const path = `${join(context.installed, 'classes')}:${join(context.installed, 'lib/*')}`;
      return said(context, 'java', ['-Xmx512m', '-cp', path, main]);
    },
  };
}

async function said(
  { runProgram, scratch, installed, lane }: ToolContext,
  file: string,
  args: readonly string[],
): Promise<Outputs> {
  const env = { INSTALLED: installed, HOME: scratch, NO_COLOR: '1' };
  const result = await runProgram(file, args, { cwd: scratch, env });
  // Each lane has a port of its own, and some tools print it.
  return saidCases({
    ...result,
    stdout: result.stdout.replaceAll(`${lane.host}:${lane.port}`, 'SERVER'),
  });
}
