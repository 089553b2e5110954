import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { weightOf } from '../../../../src/connectors/postgres/gateway/statements/known-statement.ts';
import type { Catalog } from '../../../../src/connectors/postgres/policy/facts/catalog-types.ts';
import type { Verdict } from '../../../../src/connectors/postgres/policy/facts/types.ts';
import { MaskIndex } from '../../../../src/connectors/postgres/policy/masks/mask-index.ts';
import { resolveMask } from '../../../../src/connectors/postgres/policy/masks/resolve-masks.ts';
import { SqlParser } from '../../../../src/connectors/postgres/policy/parse/parser.ts';
import { statementLots } from '../../../../src/connectors/postgres/policy/parse/statement-lots.ts';
import {
  createStatementPolicy,
  MAX_STEPS_HERE,
} from '../../../../src/connectors/postgres/policy/parse/statement-policy.ts';
import { evaluate } from '../../../../src/connectors/postgres/policy/verdict/evaluate.ts';
import { emptyCatalog } from './empty-catalog.ts';
import { grantOf } from './grant-fixture.ts';
import { nastyTexts } from './nasty-texts.ts';
import { type SqlBench, startSqlBench } from './sql-bench.ts';

/** What one statement, or one list of columns, can cost before it is noticed. */
const OVERSHOOT = 1000;
const GRANT = grantOf({
  rules: ['allow select, insert, update, set, prepare, copy on *.*', 'allow calls of *'],
  masks: ['public.people.secret full', 'public.people.mail full'],
});
const LIMITED = { ...GRANT, limits: { ...GRANT.limits, statementsPerMessage: 500 } };

let bench: SqlBench;
let parser: SqlParser;
beforeAll(async () => {
  bench = await startSqlBench(join(import.meta.dirname, 'nasty-texts.sql'));
  parser = SqlParser.create();
});
afterAll(async () => {
  await parser[Symbol.asyncDispose]();
  await bench[Symbol.asyncDispose]();
});

function codeOf(verdict: Verdict): string {
  return verdict.effect === 'allow' ? 'allowed' : verdict.refusal.code;
}

test('no text costs more steps where others wait than the budget has', async () => {
  const most = { steps: 0, name: '' };
  let name = '';
  let judgedInThread = 0;
  const policy = createStatementPolicy(
    {
      parse: parser.parse.bind(parser),
      // What is judged in a thread has been counted here before; there it may take many seconds.
      judge: async () => {
        judgedInThread += 1;
        return { type: 'refused', reason: 'parser', message: 'given up', hint: '' };
      },
    },
    undefined,
    (steps) => {
      if (steps > most.steps) Object.assign(most, { steps, name });
    },
  );
  for (const nasty of nastyTexts(40_000)) {
    name = nasty.name;
    await policy.decide(nasty.text, bench.context, LIMITED);
  }
  expect(most.steps, most.name).toBeLessThan(MAX_STEPS_HERE + OVERSHOOT);
  expect(judgedInThread).toBeGreaterThan(10);
});

test('a name of a prepared statement counts what is known of a wide result, and of others their text', async () => {
  const policy = createStatementPolicy(parser, undefined, () => undefined);
  const weigh = async (text: string): Promise<number> => {
    const verdict = await policy.decide(text, bench.context, GRANT);
    if (verdict.effect !== 'allow') throw new Error(verdict.refusal.message);
    return weightOf({ source: text, allowed: verdict.statements[0] });
  };
  const everyday = 'select * from people';
  expect(await weigh(everyday)).toBe(everyday.length);
  const wide = 'select row(w.*), row(w.*), row(w.*) from wide w';
  expect(await weigh(wide)).toBeGreaterThan(100_000);
});

test.each(['select 1 from wide natural join wide t', 'select row(w.*) from wide w'])(
  'each column that is made of others counts: %s',
  async (text) => {
    const spent: number[] = [];
    const policy = createStatementPolicy(parser, undefined, (steps) => spent.push(steps));
    await policy.decide(text, bench.context, GRANT);
    expect(spent[0]).toBeGreaterThan(1500);
  },
);

test('masks of a wide table look at its columns a few times, and not once more for each mask', () => {
  const wide = bench.catalog.relation('public', 'wide');
  if (wide === undefined) throw new Error('there is no such table');
  let looks = 0;
  const columns = wide.columns.map(
    (column) =>
      new Proxy(column, {
        get: (of, key) => {
          looks += 1;
          return Reflect.get(of, key);
        },
      }),
  );
  const relation = { ...wide, columns };
  const catalog = asking(bench.catalog, {
    relation: () => relation,
    relationByOid: () => relation,
  });
  const { masks } = grantOf({
    rules: [],
    masks: wide.columns.map(({ name }) => `public.wide.${name} full`),
  });
  const bound = masks.flatMap((mask) => resolveMask(mask, catalog, []).bindings);
  expect(
    masks.flatMap((mask, at) => resolveMask(mask, catalog, bound.slice(at, at + 1)).gone),
  ).toEqual([]);
  new MaskIndex(masks, catalog);
  expect(bound).toHaveLength(columns.length);
  expect(looks).toBeGreaterThan(0);
  expect(looks).toBeLessThan(30 * columns.length);
});

test('each partition that is written counts', async () => {
  const spent: number[] = [];
  const policy = createStatementPolicy(parser, undefined, (steps) => spent.push(steps));
  await policy.decide(`update parts set name = 'x'`, bench.context, GRANT);
  expect(spent[0]).toBeGreaterThan(200 * 16);
});

test('a text of 10,000 statements is refused by the limit of the policy, and none of them is analysed here', async () => {
  const spent: number[] = [];
  const policy = createStatementPolicy(parser, undefined, (steps) => spent.push(steps));
  const verdict = await policy.decide('select 1;'.repeat(10_000), bench.context, LIMITED);
  expect(verdict).toMatchObject({
    effect: 'refuse',
    refusal: {
      code: 'HOOP_LIMIT',
      sqlState: '54000',
      message: 'the text has 10000 statements; one message may have 500',
    },
  });
  expect(spent).toEqual([]);
});

test.each([
  'select * from people',
  'select name, secret from people where id = 1',
  'select to_json(p) from people p',
  'update people set name = secret',
  'insert into people (id, name) values (1, $1) returning *',
  'select name from people p join tasks t on t.id = p.id group by name order by name',
  'copy (select name, secret from people) to stdout; select 1',
  'select nobody from people',
  'select * from nothing',
  'selec 1',
  'prepare a as select secret from people; execute a',
  'fetch all from c',
])('the verdict is the same in the thread: %s', async (text) => {
  const here = await createStatementPolicy(parser).decide(text, bench.context, GRANT);
  const there = createStatementPolicy({
    parse: (copied: string, maxTreeBytes?: number) =>
      maxTreeBytes === undefined
        ? parser.parse(copied)
        : Promise.resolve({ type: 'large' as const }),
    judge: (...task) => parser.judge(...task),
  } as Pick<SqlParser, 'judge' | 'parse'>);
  expect(await there.decide(text, bench.context, GRANT)).toEqual(here);
});

test('a bulk insert of 5,000 rows is allowed, and nothing of its tree comes here', async () => {
  const spent: number[] = [];
  const policy = createStatementPolicy(parser, undefined, (steps) => spent.push(steps));
  const rows = Array.from({ length: 5000 }, (_, id) => `(${id}, 'name ${id}')`).join(', ');
  const text = `insert into people (id, name) values ${rows}`;
  expect(codeOf(await policy.decide(text, bench.context, GRANT))).toBe('allowed');
  expect(spent).toEqual([]);
});

test('what is too large or too deep is refused in its own words, and the next text is judged', async () => {
  const policy = createStatementPolicy(parser);
  const deep = `select ${'name || '.repeat(900)}name from people`;
  const verdict = await policy.decide(deep, bench.context, GRANT);
  expect(verdict).toMatchObject({
    refusal: { code: 'HOOP_TOO_LARGE', message: 'the statement is too large to be checked' },
  });
  expect(codeOf(await policy.decide('select name from people', bench.context, GRANT))).toBe(
    'allowed',
  );
});

test('a text that takes longer than it may is refused, and the next text is judged by another thread', async () => {
  await using slow = SqlParser.create({ workers: 1, judgeTimeoutMs: 1 });
  const warm = await slow.parse('select 1');
  expect(warm.type).toBe('tree');
  const policy = createStatementPolicy(slow);
  const text = `select 1 from people where id in (${'1, '.repeat(100_000)}1)`;
  const verdict = await policy.decide(text, bench.context, GRANT);
  expect(verdict).toMatchObject({
    refusal: { message: 'the statement could not be parsed safely', sqlState: '54000' },
  });
  expect(slow.replacedWorkers).toBe(1);
  expect(codeOf(await policy.decide('select name from people', bench.context, GRANT))).toBe(
    'allowed',
  );
});

test.each([
  ['a syntax error', 'selec 1'],
  ['a text that is nested too deeply', `select ${'1 + '.repeat(5000)}1`],
])(
  'behind %s the thread judges under the grant and the catalog of whoever asks',
  async (_, failing) => {
    await using one = SqlParser.create({ workers: 1 });
    const open = grantOf({ rules: ['allow *'] });
    const text = 'select secret from people';
    const { verdict: before } = Object(await one.judge(text, bench.context, open));
    expect(before.statements[0].masks).toEqual([undefined]);
    const empty = { ...bench.context, catalog: emptyCatalog() };
    expect((await one.judge(failing, empty, GRANT)).type).not.toBe('judged');
    expect(await one.judge(text, empty, GRANT)).toMatchObject({ verdict: { effect: 'refuse' } });
    expect((await one.judge(failing, bench.context, GRANT)).type).not.toBe('judged');
    const { verdict } = Object(await one.judge(text, bench.context, GRANT));
    expect(verdict.statements[0].masks).toMatchObject([{ mask: 'full' }]);
  },
);

test.each([
  ['is nested too deeply', `select ${'1 + '.repeat(5000)}1`],
  ['is no SQL', 'selec 1'],
])('when the first text of a thread %s, the next one is judged', async (_, failing) => {
  await using one = SqlParser.create({ workers: 1 });
  expect((await one.judge(failing, bench.context, GRANT)).type).not.toBe('judged');
  expect(await one.judge('select name from people', bench.context, GRANT)).toMatchObject({
    verdict: { effect: 'allow' },
  });
  expect(one.replacedWorkers).toBe(0);
});

test('the limit is of the work of its own thread, not of the time in which others have the machine', async () => {
  const judgeTimeoutMs = 300;
  await using one = SqlParser.create({ workers: 1, judgeTimeoutMs });
  await one.judge('select 1', bench.context, GRANT);
  const { catalog } = bench.context;
  const busy = asking(catalog, {
    relation: (schema, name) => {
      const until = performance.now() + 2 * judgeTimeoutMs;
      while (performance.now() < until);
      return catalog.relation(schema, name);
    },
  });
  const text = 'select name from public.people';
  const outcome = await one.judge(text, { ...bench.context, catalog: busy }, GRANT);
  expect(outcome).toMatchObject({ verdict: { effect: 'allow' } });
});

describe('a text whose client has left', () => {
  const slow = `select ${'/*'.repeat(60_000)} 1`;

  test('gives its thread back, and the next text is judged', async () => {
    await using one = SqlParser.create({ workers: 1 });
    await one.judge('select 1', bench.context, GRANT);
    const client = new AbortController();
    const judged = one.judge(slow, { ...bench.context, left: client.signal }, GRANT);
    client.abort();
    expect(await judged).toMatchObject({ type: 'refused', reason: 'parser' });
    expect(one.replacedWorkers).toBe(1);
    const text = 'select name from people';
    expect(await one.judge(text, bench.context, GRANT)).toMatchObject({ type: 'judged' });
  });

  test('is taken out of those that wait for a turn, and costs nothing', async () => {
    await using one = SqlParser.create({ workers: 1 });
    const first = one.judge('select name from people', bench.context, GRANT);
    const client = new AbortController();
    const context = { ...bench.context, left: client.signal };
    const judged = one.judge(slow, context, GRANT);
    client.abort();
    expect(await judged).toMatchObject({ type: 'refused', reason: 'parser' });
    expect(await one.judge(slow, context, GRANT)).toMatchObject({ type: 'refused' });
    expect(await first).toMatchObject({ type: 'judged' });
    expect(one.replacedWorkers).toBe(0);
  });
});

test('a fault in an answer to the thread refuses the text, is told, and ends nothing else', async () => {
  await using one = SqlParser.create({ workers: 1 });
  const faults: string[] = [];
  const policy = createStatementPolicy(one, ({ message }) => faults.push(message));
  const { catalog } = bench.context;
  const faulty = asking(catalog, {
    relation: () => {
      throw new Error('no such page');
    },
  });
  const text = `select name from public.people where name in (${"'x',".repeat(20_000)}'y')`;
  const context = { ...bench.context, catalog: faulty };
  expect(codeOf(await policy.decide(text, context, GRANT))).not.toBe('allowed');
  expect(faults).toEqual(['no such page']);
  expect(codeOf(await policy.decide(text, bench.context, GRANT))).toBe('allowed');
});

/** The same catalog, of which some things are found in another way. */
function asking(catalog: Catalog, own: Partial<Catalog>): Catalog {
  return new Proxy(catalog, {
    get(target, name) {
      if (Object.hasOwn(own, name)) return Reflect.get(own, name);
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

test('large texts of two sessions take turns, however many one of them has sent', async () => {
  await using one = SqlParser.create({ workers: 1 });
  const [flood, other] = [{}, {}];
  const done: string[] = [];
  const judged = (name: string, owner: object): Promise<unknown> =>
    one.judge(`select '${name}'`, { ...bench.context, owner }, GRANT).then(() => done.push(name));
  await Promise.all([
    ...['flood 1', 'flood 2', 'flood 3', 'flood 4'].map((name) => judged(name, flood)),
    judged('other', other),
  ]);
  expect(done.indexOf('other')).toBe(1);
});

test('a statement of which there is too much to say is refused, and what is said of wide ones is not', async () => {
  const policy = createStatementPolicy(parser);
  const rows = (count: number): string => `select ${'row(w.*), '.repeat(count)}1 from wide w`;
  expect(codeOf(await policy.decide(rows(10), bench.context, GRANT))).toBe('allowed');
  expect(codeOf(await policy.decide(rows(100), bench.context, GRANT))).toBe('HOOP_TOO_LARGE');
  const dropped = (count: number): string =>
    `drop table ${Array.from({ length: count }, (_, at) => `no_such_table_${at}`.padEnd(63, '_')).join(', ')}`;
  expect(codeOf(await policy.decide(dropped(1000), bench.context, GRANT))).toBe('HOOP_NOT_ALLOWED');
  expect(codeOf(await policy.decide(dropped(9000), bench.context, GRANT))).toBe('HOOP_TOO_LARGE');
});

test('a statement that shows more masked columns than its record can name is refused', async () => {
  const [analysis] = await bench.analyse('select * from wide');
  if (analysis === undefined) throw new Error('there is no statement');
  const judged = (tables: number): Verdict => {
    const sources = (column: string) =>
      Array.from({ length: tables }, (_, at) => ({
        ...{ schema: 'public', name: `${'n'.repeat(60)}_${at}`, column, oid: 0, attnum: 1 },
      }));
    const outputs = (analysis.outputs ?? []).map((output) => ({
      ...output,
      sources: sources(`${'c'.repeat(55)}${output.name}`),
    }));
    const masked = outputs.flatMap(({ sources: all }) =>
      all.map(({ schema, name, column }) => `${schema}.${name}.${column} full`),
    );
    const grant = grantOf({ rules: ['allow select on *.*'], masks: masked });
    return evaluate([{ ...analysis, outputs }], grant, { catalog: bench.catalog });
  };
  expect(codeOf(judged(1))).toBe('allowed');
  expect(codeOf(judged(3))).toBe('HOOP_TOO_LARGE');
});

test('statements with wide results are dealt with in more turns than others', async () => {
  const lots = async (text: string): Promise<number[]> => {
    const statements = await bench.analyse(text);
    return statementLots(statements, (one) => one).map(({ length }) => length);
  };
  expect(await lots('select 1;'.repeat(250))).toEqual([100, 100, 50]);
  expect(await lots('select * from wide;'.repeat(20))).toEqual(Array.from({ length: 20 }, () => 1));
  expect(statementLots([], (one) => one)).toEqual([]);
});

test('fewer verdicts of wide results are kept than of others, and none that would push out all', async () => {
  const policy = createStatementPolicy(parser);
  const isKept = (text: string): boolean =>
    policy.known?.(text, bench.context, GRANT) !== undefined;
  const texts = (statement: string) =>
    Array.from({ length: 80 }, (_, at) => `${statement} /* ${at} */`);
  for (const statement of ['select * from people', 'select * from wide']) {
    for (const text of texts(statement)) await policy.decide(text, bench.context, GRANT);
    expect(isKept(texts(statement).at(-1) ?? '')).toBe(true);
  }
  const kept = texts('select * from wide').filter(isKept);
  expect(kept.length).toBeLessThan(60);
  expect(kept.length).toBeGreaterThan(20);
  const many = 'select * from wide;'.repeat(40);
  await policy.decide(many, bench.context, GRANT);
  expect(isKept(many)).toBe(false);
  expect(kept.every(isKept)).toBe(true);
});
