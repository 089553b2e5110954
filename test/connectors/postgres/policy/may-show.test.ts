/** `mayShow: masked`: the only functions that run, and show what they return, while columns are masked. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Verdict } from '../../../../src/connectors/postgres/policy/facts/types.ts';
import { evaluate } from '../../../../src/connectors/postgres/policy/verdict/evaluate.ts';
import { grantOf } from './grant-fixture.ts';
import { type SqlBench, startSqlBench } from './sql-bench.ts';

const SCHEMA = join(dirname(fileURLToPath(import.meta.url)), 'consequences.sql');

let bench: SqlBench;
beforeAll(async () => {
  bench = await startSqlBench(SCHEMA);
});
afterAll(async () => {
  await bench?.[Symbol.asyncDispose]();
});

async function decide(sql: string, ...rules: string[]): Promise<Verdict> {
  const grant = grantOf({
    rules: ['allow select on app.*', ...rules],
    masks: ['app.cards.pan full'],
    inference: 'deny',
  });
  return evaluate(await bench.analyse(sql), grant, { catalog: bench.catalog });
}

test('a function that a rule lets show what is masked runs, and its result is shown', async () => {
  const verdict = await decide(
    'SELECT app.purge(1), id FROM app.staff',
    'allow calls of app.purge that may show',
  );
  expect(verdict).toMatchObject({
    effect: 'allow',
    statements: [{ masks: [undefined, undefined] }],
  });
});

test('one that a rule only names does not, and the refusal says what would let it', async () => {
  expect(await decide('SELECT app.purge(1)', 'allow calls of app.purge')).toMatchObject({
    effect: 'refuse',
    refusal: {
      code: 'HOOP_UNTRACEABLE',
      hint: expect.stringContaining('allow: { functions: ["app.purge"], mayShow: masked }'),
    },
  });
});

test('every function in the statement must be one of them', async () => {
  const shown = 'allow calls of app.purge that may show';
  const both = 'SELECT app.purge(app.make_id())';
  expect(await decide(both, shown, 'allow calls of app.make_id')).toMatchObject({
    effect: 'refuse',
  });
  expect(
    await decide("SELECT app.purge(1), query_to_xml('x', true, true, '')", shown),
  ).toMatchObject({ effect: 'refuse' });
  expect(await decide('DO $$ BEGIN END $$', shown, 'allow do')).toMatchObject({ effect: 'refuse' });
});

test('a deny holds, and masked arguments are computed with no more than anywhere else', async () => {
  const shown = 'allow calls of app.shorter that may show';
  expect(await decide("SELECT app.shorter('x')", shown, 'deny calls of app.shorter')).toMatchObject(
    { effect: 'refuse', refusal: { code: 'HOOP_DENIED' } },
  );
  expect(await decide('SELECT app.shorter(pan) FROM app.cards', shown)).toMatchObject({
    effect: 'refuse',
  });
});
