import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadModule, parse } from 'libpg-query';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type {
  StatementContext,
  Verdict,
} from '../../../../src/connectors/postgres/policy/facts/types.ts';
import { SqlParser } from '../../../../src/connectors/postgres/policy/parse/parser.ts';
import { createStatementPolicy } from '../../../../src/connectors/postgres/policy/parse/statement-policy.ts';
import { grantOf } from './grant-fixture.ts';
import { CORPUS, SAMPLE_SCHEMA, type SqlBench, startSqlBench } from './sql-bench.ts';

const GRANT = grantOf({
  rules: [
    'allow select, insert, set on public.*, pg_catalog.*',
    'allow update, delete with WHERE on public.*',
  ],
  masks: ['public.people.secret full', 'public.people.mail full'],
});

let bench: SqlBench;
beforeAll(async () => {
  await loadModule();
  bench = await startSqlBench(SAMPLE_SCHEMA);
});
afterAll(() => bench[Symbol.asyncDispose]());

/** The verdicts on texts that come one after the other, as from one program. */
async function decideAll(
  texts: readonly string[],
): Promise<{ verdicts: Verdict[]; asked: number }> {
  await using parser = SqlParser.create({ workers: 1 });
  let asked = 0;
  const policy = createStatementPolicy({
    parse: (text: string) => {
      asked += 1;
      return parser.parse(text);
    },
    judge: (...task) => parser.judge(...task),
  });
  const verdicts: Verdict[] = [];
  for (const text of texts) {
    verdicts.push(await policy.decide(text, bench.context, GRANT));
  }
  return { verdicts, asked };
}

/** The verdict where no other text has come before: a parser that keeps nothing, without a thread. */
async function decideAlone(
  text: string,
  context: StatementContext = bench.context,
  grant = GRANT,
): Promise<Verdict> {
  const policy = createStatementPolicy({
    parse: async (one: string) => ({
      type: 'tree' as const,
      tree: JSON.parse(JSON.stringify(await parse(one))),
    }),
    judge: () => Promise.reject(new Error(`too large to be judged here: ${text}`)),
  });
  return await policy.decide(text, context, grant);
}

/** Strings of the same length in the place of $, in turn. */
const STRINGS: readonly [string, ...(readonly string[])[]][] = [
  ['select name from people where name = $', ['a'], ['b'], ['c'], ['1']],
  ['select name, secret from people where name in ($, $)', ['a', 'b'], ['b', 'b'], ['c', 'd']],
  ['select coalesce(to_jsonb(secret), $)::text from people', ['{}'], ['[]'], ['12'], ['{}']],
  ["select $::jsonb || jsonb_build_object('a', secret) from people", ['{}'], ['[]'], ['""']],
  ['select set_config($, $, false)', ['role', 'x'], ['Role', 'y'], ['abcd', 'x'], ['role', 'z']],
  ['select nextval($)', ['tasks_id_seq'], ['tasks_id_sex'], ['people_x_seq'], ['tasks_id_seq']],
  ['select $::regclass', ['people'], ['nobody'], ['people']],
  ['insert into tasks (title) values ($)', ['[card]'], ['[cerd]'], ['a card'], ['[card]']],
  ['update people set name = $ where id = 1', ['[card]'], ['an ssn'], ['[card]']],
  [
    'select coalesce(to_jsonb(secret), $)::text from people',
    ['null'],
    ['1234'],
    ['true'],
    ['null'],
  ],
  ['set statement_timeout = $', ['1s'], ['2s'], ['on']],
  ['set search_path = $', ['public'], ['hidden'], ['public']],
  ['select name from people where $ = $', ['a', 'a'], ['a', 'b'], ['b', 'b']],
  ['delete from people where $ = name', ['a'], ['b'], ['c']],
  ['select to_json(p) -> $ from people p', ['name'], ['mail'], ['nope'], ['name']],
  ['select to_jsonb(p) - $ from people p', ['secret'], ['nobody'], ['secret']],
  ['select secret from people where secret = $', ['a'], ['b'], ['c']],
  ['select $ as kind, secret from people', ['a'], ['b'], ['c']],
  ['select secret like $ from people', ['a%'], ['%b'], ['__']],
  ['copy (select $, name from people) to stdout', ['a'], ['b'], ['c']],
  [
    'select date_trunc($, now()), extract(epoch from interval $)',
    ['day', '1 day'],
    ['sec', '2 sec'],
    ['day', '3 day'],
  ],
  [
    "select current_setting($), query from pg_stat_activity where query like 'x%'",
    ['role'],
    ['port'],
    ['data'],
  ],
  ['select query from pg_stat_activity where query <> $', ['select'], ['abcdef'], ['select']],
];

test.each(STRINGS)('%s has the verdict of its own strings', async (template, ...rows) => {
  const texts = rows.map((row) => {
    const strings = [...row];
    return template.replaceAll('$', () => `'${strings.shift()}'`);
  });
  const { verdicts } = await decideAll(texts);
  for (const [index, text] of texts.entries()) {
    expect(verdicts[index], text).toEqual(await decideAlone(text));
  }
});

test('from the third text on, one whose strings decide nothing is not looked into again', async () => {
  for (const template of [
    'select name, secret from people where name = $ and id = 7',
    'select name from people where name in ($, $) order by name limit 5',
    'select upper(name), $ as kind from people where lower(name) = $',
    'delete from tasks where title = $',
    'update tasks set note = $ where id = 5',
    'insert into tasks (id, note) values (1, $)',
  ]) {
    const texts = ['a1', 'b2', 'c3', 'd4', 'e5'].map((value) =>
      template.replaceAll('$', `'${value}'`),
    );
    const { asked } = await decideAll(texts);
    expect([template, asked]).toEqual([template, 2]);
  }
});

/** Placeholders in order; the numbers of a row have as many digits as those of the others. */
const CASES: readonly [string, ...(readonly number[])[]][] = [
  ['select name from people where id = $', [1], [2], [3], [0]],
  ['select name, secret from people order by $', [1], [2], [1], [2]],
  ['select name, secret from people group by $, $', [1, 2], [2, 1], [1, 2], [3, 4]],
  ['select secret, name from people union select name, name from people order by $', [1], [2], [1]],
  ['update people set name = name where $ = $', [1, 1], [1, 2], [1, 1], [3, 3]],
  ['delete from people where id = $', [1], [2], [3]],
  ['delete from people where id = $ or $ = $', [1, 2, 3], [1, 2, 2], [1, 2, 3], [1, 0, 0]],
  ['delete from people where $ < $', [1, 2], [2, 1], [1, 2]],
  ['insert into tasks (id) values ($)', [1], [2], [3]],
  ['select name from people limit $', [0], [5], [9]],
  ['select $, secret from people', [1], [2], [3]],
  ['select nobody from people where id = $', [1], [2], [3]],
  ["select set_config('statement_timeout', '1', $ = $)", [1, 1], [1, 2], [1, 1]],
  ['set statement_timeout = $', [500], [900], [100]],
];

test.each(CASES)('%s has the verdict of its own constants', async (template, ...rows) => {
  const texts = rows.map((row) => {
    const numbers = [...row];
    return template.replaceAll('$', () => String(numbers.shift()));
  });
  const { verdicts } = await decideAll(texts);
  for (const [index, text] of texts.entries()) {
    expect(verdicts[index], text).toEqual(await decideAlone(text));
  }
});

test('from the third text on, one whose constants decide nothing is not looked into again', async () => {
  const { asked } = await decideAll(
    [1, 2, 3, 4, 5].map((id) => `select name, secret from people where id = ${id}`),
  );
  expect(asked).toBe(2);
});

test('a text whose constants decide is looked into each time', async () => {
  const { asked } = await decideAll(
    [1, 2, 1, 2, 1].map((nr) => `select 1, name from people order by ${nr}`),
  );
  // The first and the second are parsed; verdicts of whole texts are kept for parsed ones only.
  expect(asked).toBeGreaterThan(2);
});

test('another grant, search_path or role is another verdict', async () => {
  await using parser = SqlParser.create({ workers: 1 });
  const policy = createStatementPolicy(parser);
  const text = (id: number): string => `select name from people where id = ${id}`;
  for (const id of [1, 2, 3]) {
    expect((await policy.decide(text(id), bench.context, GRANT)).effect).toBe('allow');
  }
  const none = grantOf({ rules: ['allow select on public.tasks'] });
  expect((await policy.decide(text(4), bench.context, none)).effect).toBe('refuse');
  const elsewhere = { ...bench.context, searchPath: ['pg_catalog', 'hr'] };
  const verdict = await policy.decide(text(5), elsewhere, GRANT);
  expect(verdict.effect).toBe('refuse');
});

test('a verdict by one catalog is none by another that has counted as far', async () => {
  await using parser = SqlParser.create({ workers: 1 });
  const policy = createStatementPolicy(parser);
  const { catalog } = bench.context;
  // As read for another user or on another host, where DDL came at another time.
  const relation = (schema: string, name: string) =>
    catalog.relation(schema, name === 'tasks' ? 'people' : name);
  const other = new Proxy(catalog, {
    get(target, name) {
      if (name === 'relation') return relation;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const texts = [
    'select * from tasks',
    ...[1, 2, 3].map((id) => `select * from tasks limit ${id}`),
  ];
  for (const text of texts) {
    const plain = await policy.decide(text, bench.context, GRANT);
    const masked = await policy.decide(text, { ...bench.context, catalog: other }, GRANT);
    const hides = (verdict: Verdict): boolean =>
      verdict.effect === 'allow' &&
      verdict.statements.some(({ masks }) => masks?.some((mask) => mask !== undefined));
    expect([hides(plain), hides(masked)], text).toEqual([false, true]);
  }
});

test('what only a temporary grant lets through names it, so that it ends with it', async () => {
  await using parser = SqlParser.create({ workers: 1 });
  const policy = createStatementPolicy(parser);
  const lasting = grantOf({ rules: ['allow select'] });
  const free = grantOf({ rules: ['allow *'] });
  const rules = free.rules.map((rule) => ({ ...rule, rule: { ...rule.rule, grant: 'g1' } }));
  const grant = { ...lasting, generation: 'with g1', rules: [...lasting.rules, ...rules] };
  const grants = async (text: string): Promise<unknown[]> => {
    const verdict = await policy.decide(text, bench.context, grant);
    return verdict.effect === 'allow'
      ? verdict.statements.flatMap((one) => one.rules.map((rule) => rule.grant))
      : [verdict.refusal];
  };
  expect(await grants('select name from people')).toEqual([undefined]);
  expect(await grants('select get_secret(1)')).toContain('g1');
  expect(await grants("select lower('a'), pg_cancel_backend(1)")).toContain('g1');
  expect(await grants('select * from not_there')).toContain('g1');
});

test('where a WHERE is asked for, code that cannot be read is not let through', async () => {
  await using parser = SqlParser.create({ workers: 1 });
  const policy = createStatementPolicy(parser);
  const grant = grantOf({ rules: ['allow * with WHERE'] });
  const effect = async (text: string): Promise<string> =>
    (await policy.decide(text, bench.context, grant)).effect;
  expect(await effect('delete from people where id = 1')).toBe('allow');
  expect(await effect('delete from people')).toBe('refuse');
  expect(await effect("do 'begin delete from people; end'")).toBe('refuse');
  expect(await effect('select get_secret(1)')).toBe('refuse');
});

/** Another constant of the same length wherever one stands, so that most verdicts are of its shape. */
function mutated(text: string, by: number): string {
  const moved = (from: number, count: number, code: number): string =>
    String.fromCharCode(from + ((code - from + by) % count));
  return text.replace(/'[^'\\]*'|(?<=[\s(,=<>+*/])\d{1,9}(?=[\s),;]|$)/g, (constant) =>
    constant.replace(/[a-z0-9]/g, (letter) =>
      /\d/.test(letter) ? moved(48, 10, letter.charCodeAt(0)) : moved(97, 26, letter.charCodeAt(0)),
    ),
  );
}

test('every text of the corpus, with other constants, has the verdict of its own constants', async () => {
  await using corpus = await startSqlBench(join(CORPUS, 'schema.sql'));
  const grant = grantOf({
    rules: ['allow *'],
    masks: [
      'public.customers.card_number full',
      'public.customers.ssn full',
      'public.customers.email hash',
    ],
    detectors: ['card'],
  });
  const lines = readFileSync(join(CORPUS, 'mask_public.jsonl'), 'utf8').trim().split('\n');
  const texts = lines
    .map((line): unknown => JSON.parse(line))
    .flatMap((one) => sqlIn(one))
    .filter((text) => mutated(text, 1) !== text && !text.includes('${'));
  await using parser = SqlParser.create({ workers: 1 });
  const policy = createStatementPolicy(parser);
  const refused: string[] = [];
  let compared = 0;
  for (const text of new Set(texts)) {
    if (!(await parses(text))) continue;
    // The first is learned, the second is decided for its shape, the others may be found by it.
    for (const one of [text, mutated(text, 1), mutated(text, 2), text, mutated(text, 7)]) {
      if (!(await parses(one))) continue;
      const { context } = corpus;
      const [found, due] = [
        await policy.decide(one, context, grant),
        await decideAlone(one, context, grant),
      ];
      compared += 1;
      if (JSON.stringify(found) !== JSON.stringify(due)) refused.push(one);
    }
  }
  expect(refused).toEqual([]);
  expect(compared).toBeGreaterThan(500);
});

async function parses(text: string): Promise<boolean> {
  return await parse(text).then(
    () => true,
    () => false,
  );
}

/** Every string of a case that may be SQL; what is none does not parse. */
function sqlIn(one: unknown): readonly string[] {
  if (typeof one === 'string') return [one];
  return typeof one === 'object' && one !== null ? Object.values(one).flatMap(sqlIn) : [];
}
