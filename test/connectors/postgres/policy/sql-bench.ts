/** The bench of the SQL analysis tests: a real server, its real catalog, the real parser. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadModule, parse } from 'libpg-query';
import pg from 'pg';
import { openCatalogSource } from '../../../../src/connectors/postgres/gateway/catalog/catalog-reader.ts';
import type {
  ColumnFact,
  StatementAnalysis,
} from '../../../../src/connectors/postgres/policy/facts/analysis-types.ts';
import type { Catalog } from '../../../../src/connectors/postgres/policy/facts/catalog-types.ts';
import { maskedSystemColumn } from '../../../../src/connectors/postgres/policy/facts/system-relations.ts';
import type {
  AllowedStatement,
  StatementContext,
} from '../../../../src/connectors/postgres/policy/facts/types.ts';
import { analyseStatements } from '../../../../src/connectors/postgres/policy/walk/analyse-statements.ts';
import { startTestPostgres } from '../../../postgres-template.ts';

const here = dirname(fileURLToPath(import.meta.url));
export const SAMPLE_SCHEMA = join(here, 'sample-schema.sql');
export const CORPUS = join(here, '../../../corpus');

export interface SqlBench extends AsyncDisposable {
  readonly catalog: Catalog;
  readonly context: StatementContext;
  /** Of the server's superuser. */
  readonly url: string;
  analyse(sql: string, context?: Partial<StatementContext>): Promise<StatementAnalysis[]>;
  /** Runs the text on the server inside a transaction that is rolled back; rows and notices as text. */
  really(sql: string): Promise<string>;
}

/** @param schemaFile loaded into a fresh database as superuser */
export async function startSqlBench(schemaFile: string): Promise<SqlBench> {
  await loadModule();
  const server = await startTestPostgres();
  const client = new pg.Client({ connectionString: server.url('postgres') });
  await client.connect();
  // The schema, the catalog reader and the tests each have a search_path of their own.
  const reader = new pg.Client({ connectionString: server.url('postgres') });
  await reader.connect();
  await client.query(readFileSync(schemaFile, 'utf8'));
  const source = openCatalogSource({ query: (sql) => textRows(reader, sql), parse });
  const catalog = await source.current();
  const context: StatementContext = {
    catalog,
    searchPath: ['pg_catalog', 'public'],
    role: 'postgres',
    parameterTypes: [],
    cursor: () => undefined,
    prepared: () => undefined,
  };
  let notices: string[] = [];
  client.on('notice', (notice) => notices.push(String(notice.message)));
  return {
    catalog,
    context,
    url: server.url('postgres'),
    analyse: async (sql, changes = {}) =>
      analyseStatements(await parse(sql), sql, { ...context, ...changes }),
    really: async (sql) => {
      notices = [];
      await client.query('BEGIN');
      try {
        return JSON.stringify([await textRows(client, sql), notices]);
      } finally {
        await client.query('ROLLBACK');
      }
    },
    [Symbol.asyncDispose]: async () => {
      await client.end();
      await reader.end();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** The rows of the last statement, as the server writes them in text format. */
export async function textRows(client: pg.Client, sql: string): Promise<(string | null)[][]> {
  const asText = { getTypeParser: () => (value: string | Buffer) => String(value) };
  const result = await client.query<(string | null)[]>({
    text: sql,
    rowMode: 'array',
    types: asText,
  });
  const results: unknown = result;
  const last = Array.isArray(results) ? results.at(-1) : result;
  return last.rows ?? [];
}

/** What a policy that masks these columns (`schema.relation.column`) has to act on. */
export function reasonsToAct(
  analyses: readonly StatementAnalysis[],
  masked: ReadonlySet<string>,
): string[] {
  const hit = (facts: readonly ColumnFact[] | undefined) =>
    (facts ?? []).some(
      (fact) =>
        masked.has(`${fact.schema}.${fact.name}.${fact.column}`) ||
        maskedSystemColumn(fact) !== undefined,
    );
  return analyses.flatMap((analysis) => {
    const reasons = analysis.opaque.map((opaque) => `opaque: ${opaque.reason}`);
    const outputs = analysis.outputs ?? [];
    if (outputs.some((output) => hit(output.sources))) reasons.push('masked');
    if (outputs.some((output) => hit(output.tied))) reasons.push('tied');
    if (hit(analysis.columnsStored)) reasons.push('stored');
    if (hit(analysis.columnsShaping)) reasons.push('shaping');
    return reasons;
  });
}

/** As the engine remembers a cursor or prepared statement that the target confirmed. */
export function confirmed(analysis: StatementAnalysis): AllowedStatement {
  return { analysis, rules: [], masks: undefined, detectors: [], redactErrors: false };
}

/** `people.secret` for each source, for comparing with a table of cases. */
export function columnNames(facts: readonly ColumnFact[] | undefined): string[] {
  return (facts ?? []).map((fact) => `${fact.name}.${fact.column}`);
}
