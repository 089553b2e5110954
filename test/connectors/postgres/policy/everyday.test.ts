import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evaluate } from '../../../../src/connectors/postgres/policy/verdict/evaluate.ts';
import { grantOf } from './grant-fixture.ts';
import { type SqlBench, startSqlBench } from './sql-bench.ts';

/** The statements are in everyday.txt, whose head says what they are. */
const CASES = readFileSync(new URL('everyday.txt', import.meta.url), 'utf8')
  .split('\n')
  .flatMap((line) => {
    const [, writes, sql] = /^(?!#)(writes \| )?(.+)$/.exec(line) ?? [];
    return sql === undefined ? [] : [{ sql, mayWrite: writes !== undefined }];
  });

const MASKS = [
  'public.customers.email partial',
  'public.customers.phone full',
  'public.customers.ssn null',
  'public.customers.token hash',
  'public.customers.apikey hash',
  'public.customers.born full',
  'public.customers.balance full',
  'public.customers.grade full',
  'public.customers.ip partial',
  'public.customers.seen full',
  'public.customers.tags full',
  'public.customers.prefs full',
  'public.customers.vip null',
  'public.orders.card partial',
  'public.items.secret full',
  'public.logins.token hash',
  'public.employees.email partial',
  'public.employees.salary full',
];
const RULES = ['allow *', 'allow listen'];

describe('everyday statements beside masked columns', () => {
  let bench: SqlBench;
  beforeAll(async () => {
    bench = await startSqlBench(fileURLToPath(new URL('everyday.sql', import.meta.url)));
  });
  afterAll(async () => {
    await bench?.[Symbol.asyncDispose]();
  });

  test.each(CASES)('are allowed: $sql', async ({ sql, mayWrite }) => {
    const masks = mayWrite ? MASKS.map((mask) => `${mask} writable`) : MASKS;
    const { catalog } = bench;
    const grant = grantOf({ rules: RULES, masks, inference: 'deny' });
    const verdict = evaluate(await bench.analyse(sql), grant, { catalog, text: sql });
    expect(verdict.effect === 'refuse' ? verdict.refusal.message : 'allowed').toBe('allowed');
  });
});
