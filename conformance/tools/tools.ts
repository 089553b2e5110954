import { join } from 'node:path';
import type { Outputs } from '../suite.ts';
import { HERE } from './install.ts';
import { pgDump } from './pg-dump.ts';
import { pgbench } from './pgbench.ts';
import { psql } from './psql.ts';
import { saidCases } from './said-cases.ts';
import type { SourceName, Tool, ToolContext } from './tool.ts';

/** In the order in which they run. */
export const TOOLS: readonly Tool[] = [
  psql,
  pgDump,
  pgbench,
  node('node-postgres', 'pg'),
  node('Knex', 'knex'),
  node('Prisma', 'prisma'),
  python('SQLAlchemy', 'SQLAlchemy', 'with_sqlalchemy.py'),
  python('Django', 'Django', 'with_django.py'),
  python('dbt', 'dbt-core', 'with_dbt.py', 'dbt'),
  python('pgAdmin', 'pgadmin4', 'with_pgadmin.py', 'pgadmin'),
  java('Flyway', 'flyway-core', 'WithFlyway'),
];

function node(name: string, module: string, program = `with-${module}.mjs`): Tool {
  return {
    name,
    source: 'node',
    package: module,
    run: (context) => said(context, process.execPath, [join(context.installed, program)]),
  };
}

function python(
  name: string,
  module: string,
  program: string,
  source: SourceName = 'python',
): Tool {
  return {
    name,
    source,
    package: module,
    run: (context) =>
      said(context, join(context.installed, 'venv/bin/python'), [
        '-B',
        join(HERE, 'python', program),
      ]),
  };
}

function java(name: string, artifact: string, main: string): Tool {
  return {
    name,
    source: 'java',
    package: artifact,
    run: ({ installed, ...context }) => {
      const path = `${join(installed, 'classes')}:${join(installed, 'lib/*')}`;
      return said({ installed, ...context }, 'java', ['-Xmx512m', '-cp', path, main]);
    },
  };
}

async function said(
  { runProgram, scratch, installed }: ToolContext,
  file: string,
  args: readonly string[],
): Promise<Outputs> {
  const env = { INSTALLED: installed, HOME: scratch, NO_COLOR: '1' };
  return saidCases(await runProgram(file, args, { cwd: scratch, env }));
}
