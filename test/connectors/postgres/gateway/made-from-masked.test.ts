/** Tables and views made from others, as dbt makes them, while columns are masked. */
import { describe, expect, test } from 'vitest';
import { grantOf } from '../policy/grant-fixture.ts';
import { type Bench, startBench } from './engine-bench.ts';
import { errors, query, RawClient, type Received, rows } from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

const { target } = testTarget(`
  CREATE SCHEMA s;
  CREATE TABLE staff (id int PRIMARY KEY, email text, dept text);
  INSERT INTO staff VALUES (1, 'hidden-a', 'ops'), (2, 'hidden-b', 'dev');
`);
const real = realEngine(target);

const RULES = ['allow select on public.*, s.*', 'allow create, drop, alter, insert on s.*'];
const masked = grantOf({ rules: RULES, masks: ['public.staff.email full'], inference: 'deny' });
const trusted = grantOf({ rules: RULES });

const bench = (grant: typeof masked): Promise<Bench> =>
  startBench({ target: target(), ...real.parts(), grant: () => grant });

/** What dbt sends for a model, each as a Query of its own. */
function model(kind: 'table' | 'view', name: string, select: string): readonly string[] {
  const at = (suffix: string): string => `"postgres"."s"."${name}${suffix}"`;
  return [
    'BEGIN',
    `create ${kind} ${at('__dbt_tmp')} as (\n  ${select}\n)`,
    `alter ${kind} if exists ${at('')} rename to "${name}__dbt_backup"`,
    `alter ${kind} ${at('__dbt_tmp')} rename to "${name}"`,
    'COMMIT',
    'BEGIN',
    `drop ${kind} if exists ${at('__dbt_backup')} cascade`,
    'COMMIT',
  ];
}

async function play(client: RawClient, texts: readonly string[]): Promise<readonly Received[]> {
  const all: Received[] = [];
  for (const text of texts) all.push(...(await client.ask([query(text)])));
  return all;
}

describe.each(['table', 'view'] as const)('a %s made as dbt makes it', (kind) => {
  test('of columns without a mask goes on, also a second time and in one text', async () => {
    await using engine = await bench(masked);
    await using client = await RawClient.open(engine.port);
    const name = `plain_${kind}`;
    const made = model(kind, name, 'select id, dept from staff');
    expect(errors(await play(client, [...made, ...made]))).toEqual([]);
    expect(errors(await play(client, [`${made.join(';\n')};`]))).toEqual([]);
    const answers = await client.ask([query(`select dept from s.${name} order by id`)]);
    expect(rows(answers)).toEqual([['ops'], ['dev']]);
  });

  test('of a masked column is refused with what helps', async () => {
    await using engine = await bench(masked);
    await using client = await RawClient.open(engine.port);
    const texts = model(kind, `secret_${kind}`, 'select id, email from staff');
    for (const played of [texts, [texts.join('; ')]]) {
      const [first] = errors(await play(client, played));
      expect(first).toMatchObject({ R: 'HOOP_MASKED_WRITE' });
      expect(first?.['H']).toMatch(/Omit the column.*unmasked/);
      await client.ask([query('ROLLBACK')]);
    }
  });
});

test('a view that somebody made who sees the column shows others its mask, renamed and built upon', async () => {
  await using owners = await bench(trusted);
  await using owner = await RawClient.open(owners.port);
  await using others = await bench(masked);
  await using other = await RawClient.open(others.port);
  expect(rows(await other.ask([query('select id from staff where id = 1')]))).toEqual([['1']]);
  const first = model('view', 'staff_view', 'select id, email, upper(email) as loud from staff');
  const second = model('view', 'loud_view', 'select loud from s.staff_view');
  expect(errors(await play(owner, [...first, ...second, ...first.slice(0, 5)]))).toEqual([]);
  const seen = await play(other, [
    'select * from s.staff_view',
    'select * from s.loud_view',
    'select * from s.staff_view__dbt_backup',
  ]);
  expect(rows(seen).length).toBeGreaterThan(0);
  expect(seen.some(({ body }) => /hidden/i.test(body.toString('latin1')))).toBe(false);
});

test.each([
  ['shown', 'select id, email from staff'],
  ['in a condition', "select id from staff where email like 'hidden%'"],
  ['behind another view', 'select id from s.hidden_source'],
])('a view with a masked column %s may not be renamed', async (_, select) => {
  await using owners = await bench(trusted);
  await using owner = await RawClient.open(owners.port);
  await using others = await bench(masked);
  await using other = await RawClient.open(others.port);
  const drop = 'drop view if exists s.kept; drop view if exists s.hidden_source';
  const made = [
    drop,
    'create view s.hidden_source as select id, dept from staff where email is not null',
    `create view s.kept as ${select}`,
  ];
  expect(errors(await play(owner, made))).toEqual([]);
  for (const text of [
    'alter view s.kept rename to moved',
    'alter table s.kept rename to moved',
    'create table s.filler (id int); alter view s.kept rename to moved; select * from s.moved',
  ]) {
    const answers = await other.ask([query(text)]);
    expect(errors(answers)[0]).toMatchObject({ R: 'HOOP_DENIED' });
    expect(answers.some(({ body }) => body.includes('hidden-'))).toBe(false);
  }
  expect(errors(await play(owner, [drop]))).toEqual([]);
});

test('where a text sets the search_path, rules speak about the schema that is then first', async () => {
  await using engine = await bench(masked);
  await using client = await RawClient.open(engine.port);
  const text = (schema: string): string =>
    `set search_path = ${schema}; create table m8 (id int); drop table m8; reset search_path`;
  expect(errors(await client.ask([query(text('s'))]))).toEqual([]);
  const [refused] = errors(await client.ask([query(text('public'))]));
  expect(refused).toMatchObject({
    R: 'HOOP_NOT_ALLOWED',
    M: 'CREATE TABLE on public.m8 is not allowed by policy',
  });
});

describe('types belong to their schema', () => {
  test.each([
    ["create type s.mood as enum ('sad', 'ok')", "'ok'::s.mood", 'ok'],
    ['create type s.pair as (x int, y int)', "'(1,2)'::s.pair", '(1,2)'],
    ['create domain s.positive as int check (value > 0)', '7::s.positive', '7'],
  ])('%s', async (create, value, shown) => {
    await using engine = await bench(trusted);
    await using client = await RawClient.open(engine.port);
    const [, kind = '', name = ''] = /create (\w+) (\S+)/.exec(create) ?? [];
    for (const texts of [
      [create, `create table s.typed (v ${name})`, `insert into s.typed values (${value})`],
      [`${create}; create table s.typed (v ${name}); insert into s.typed values (${value})`],
    ]) {
      const answers = await play(client, [
        ...texts,
        'select v from s.typed',
        `drop table s.typed; drop ${kind} ${name}`,
      ]);
      expect([errors(answers), rows(answers)]).toEqual([[], [[shown]]]);
    }
    const elsewhere = await client.ask([query(create.replace(name, `public.${name.slice(2)}`))]);
    expect(errors(elsewhere)[0]).toMatchObject({ R: 'HOOP_NOT_ALLOWED' });
  });
});
