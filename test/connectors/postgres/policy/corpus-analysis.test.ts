import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'libpg-query';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StatementAnalysis } from '../../../../src/connectors/postgres/policy/facts/analysis-types.ts';
import type { AllowedStatement } from '../../../../src/connectors/postgres/policy/facts/types.ts';
import { decideRows } from '../../../../src/connectors/postgres/policy/verdict/decide-rows.ts';
import { evaluate } from '../../../../src/connectors/postgres/policy/verdict/evaluate.ts';
import { analyseStatements } from '../../../../src/connectors/postgres/policy/walk/analyse-statements.ts';
import { principalGrant } from '../../../../src/policy/principal-grant.ts';
import type { Grant } from '../../../../src/policy/types.ts';
import { loadPolicy } from '../../../policy/with-connectors.ts';
import { CORPUS, confirmed, reasonsToAct, type SqlBench, startSqlBench } from './sql-bench.ts';

/** The policy that the corpus assumes, from the header of its schema. */
const MASKED = new Set([
  'public.customers.card_number',
  'public.customers.ssn',
  'public.customers.email',
  'public.payments.card_number',
]);
/** Categories in which a masked value is at stake, so that the analysis must see it. */
const MASKING = /^(1-rename|2-derived|3-exporters|4-copies)$/;

interface CorpusCase {
  readonly id: string;
  readonly category: string;
  readonly tier: string;
  readonly expect: string;
  readonly sql?: unknown;
  readonly steps?: readonly {
    readonly q?: string;
    readonly parse?: { readonly sql: string };
    readonly admin?: boolean;
  }[];
  readonly max_pg?: number;
}

const cases: readonly CorpusCase[] = readFileSync(join(CORPUS, 'mask_public.jsonl'), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line));

/** The SQL texts of a case, in order; `${…}` stands for things of a live server. */
function texts(one: CorpusCase): string[] {
  const found: string[] = [];
  const add = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(add);
    if (typeof value === 'string') found.push(value);
  };
  add(one.sql);
  for (const step of one.steps ?? []) {
    if (!step.admin) add(step.q ?? step.parse?.sql);
  }
  return found.map((text) =>
    text
      .replaceAll(/\$\{rep:((?:[^\\:]|\\.)*):(\d+)\}/g, (_, unit: string, times: string) =>
        unit.replaceAll('\\n', '\n').repeat(Number(times)),
      )
      .replaceAll(/\$\{oid:[^}]*\}/g, '12345')
      .replaceAll(/\$\{[a-z]+\}/g, '1'),
  );
}

/** What a policy would act on besides masks: settings and access that it refuses by itself. */
function otherReasons(analysis: StatementAnalysis): string[] {
  const settings = (analysis.protocol.settings ?? []).map((setting) => setting.name);
  const onMasked = analysis.writes.some((fact) =>
    [...MASKED].some((column) => column.startsWith(`${fact.schema}.${fact.name}.`)),
  );
  return [
    ...analysis.serverAccess,
    ...analysis.columnsComputed.flatMap(({ column, by }) =>
      MASKED.has(`${column.schema}.${column.name}.${column.column}`) ? [by] : [],
    ),
    ...(analysis.protocol.changesCatalog && onMasked ? ['ddl on a masked relation'] : []),
    ...settings.filter((name) => /^(standard_conforming_strings|client_encoding|role)$/.test(name)),
  ];
}

describe('the corpus, by analysis alone', () => {
  let bench: SqlBench;
  beforeAll(async () => {
    bench = await startSqlBench(join(CORPUS, 'schema.sql'));
  });
  afterAll(async () => {
    await bench?.[Symbol.asyncDispose]();
  });

  /** All reasons to mask or refuse, over the texts of a case on one connection. */
  async function reasons(one: CorpusCase): Promise<string[]> {
    const prepared = new Map<string, AllowedStatement>();
    const cursors = new Map<string, AllowedStatement>();
    const found: string[] = [];
    for (const text of texts(one)) {
      const context = {
        ...bench.context,
        prepared: (name: string) => prepared.get(name),
        cursor: (name: string) => cursors.get(name),
      };
      for (const analysis of analyseStatements(await parse(text), text, context)) {
        found.push(...reasonsToAct([analysis], MASKED), ...otherReasons(analysis));
        const { prepare, declareCursor } = analysis.protocol;
        if (prepare !== undefined) prepared.set(prepare, confirmed(analysis));
        if (declareCursor !== undefined) cursors.set(declareCursor, confirmed(analysis));
      }
    }
    return found;
  }

  test('every case in which a masked value is renamed, derived, exported or copied is caught', async () => {
    const missed: string[] = [];
    for (const one of cases.filter((candidate) => MASKING.test(candidate.category))) {
      if ((await reasons(one)).length === 0) {
        missed.push(one.id);
      }
    }
    expect(missed).toEqual([]);
  });

  test('masked values behind cursors, prepared statements, COPY and odd texts are caught', async () => {
    const protocol = cases.filter(({ id }) =>
      /^(pro-(copy|cur|prep|ext|multi|text|large|wide|scs)|msg-)/.test(id),
    );
    const missed: string[] = [];
    for (const one of protocol) {
      if ((await reasons(one)).length === 0) missed.push(one.id);
    }
    // It is set in the startup packet.
    expect(missed).toEqual(['pro-scs-off-startup']);
  });

  test('a masked column in a predicate is computed with, and its errors are possible', async () => {
    const [analysis] = await bench.analyse('SELECT count(*) FROM customers WHERE ssn::bigint > 0');
    const computed = analysis?.columnsComputed.map(({ column }) => column);
    for (const columns of [computed, analysis?.columnsEvaluated]) {
      expect(columns?.map((fact) => `${fact.name}.${fact.column}`)).toContain('customers.ssn');
    }
  });

  test('everyday work is held up only where this server or one connection of its own cannot know better', async () => {
    const held: string[] = [];
    const everyday = cases.filter(
      (one) =>
        one.category === '10-usability' &&
        one.expect === 'allowed' &&
        (one.max_pg ?? 99) >= 18 &&
        one.id !== 'use-error-syntax',
    );
    for (const one of everyday) {
      if ((await reasons(one)).length > 0) held.push(one.id);
    }
    expect(everyday.length).toBeGreaterThan(55);
    expect(held).toEqual([
      // Another search_path, and tables made a statement before: the engine reads the catalog again.
      'use-set-safe',
      'use-copy-in-fail',
      // SQL inside a string: refused on purpose.
      'use-xml-safe',
      'use-maint-scratch-table',
    ]);
  });

  test('every approval case is refused or held, at once or for the rows that it changes', async () => {
    const grant = corpusGrant('maintainer');
    for (const one of cases.filter(({ category }) => category === '8-approvals')) {
      const outcomes: string[] = [];
      const prepared = new Map<string, AllowedStatement>();
      for (const text of texts(one)) {
        const analyses = await bench.analyse(text, { prepared: (name) => prepared.get(name) });
        const verdict = evaluate(analyses, grant, { catalog: bench.catalog, text });
        if (verdict.effect === 'refuse') {
          outcomes.push('refused');
          continue;
        }
        for (const statement of verdict.statements) {
          const name = statement.analysis.protocol.prepare;
          if (name !== undefined) prepared.set(name, statement);
          const held = statement.approvals ? 'hold' : decideRows(statement, ALL_ORDERS).effect;
          outcomes.push(held);
        }
      }
      expect(
        outcomes.some((outcome) => outcome !== 'allow'),
        one.id,
      ).toBe(true);
    }
  });
});

/** What changes all rows of public.orders. */
const ALL_ORDERS = { counted: 'trial', rows: 6, relations: [] } as const;

function corpusGrant(target: string): Grant {
  const directory = join(CORPUS, 'policy');
  const files = new Map(
    readdirSync(directory, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.yaml'))
      .map((path) => [path, readFileSync(join(directory, path), 'utf8')]),
  );
  const issuer = 'https://idp.example';
  const hoop = files.get('hoop.yaml') ?? '';
  files.set(
    'hoop.yaml',
    hoop.replace(
      'identityProviders: []',
      `identityProviders: [{ issuer: ${issuer}, clientId: c }]`,
    ),
  );
  const { policy, problems } = loadPolicy(files);
  const who = {
    kind: 'person',
    issuer,
    sub: 'erin',
    name: 'erin',
    email: undefined,
    groups: ['engineering'],
    roles: [],
  } as const;
  const grant = policy && principalGrant(policy, 'c'.repeat(40), who, target);
  return grant ?? expect.fail(JSON.stringify(problems));
}
