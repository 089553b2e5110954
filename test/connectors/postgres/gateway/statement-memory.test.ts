/** What statements may keep of the gateway's memory: real policy, real server. */
import { expect, test } from 'vitest';
import { StatementMemory } from '../../../../src/connectors/postgres/gateway/statements/statement-memory.ts';
import { grantOf } from '../policy/grant-fixture.ts';
import { type Bench, startBench } from './engine-bench.ts';
import {
  bind,
  copyDone,
  errors,
  execute,
  letters,
  message,
  parse,
  query,
  RawClient,
  rows,
  sync,
} from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

const MIB = 1024 * 1024;
const COLUMNS = Array.from({ length: 400 }, (_, at) => `c${at}`);
const { target, sql } = testTarget(`
  CREATE TABLE wide (${COLUMNS.map((name) => `${name} text`).join()});
  CREATE TABLE loads (id int);
`);
const real = realEngine(target);
const GRANT = grantOf({
  rules: ['allow *'],
  masks: COLUMNS.map((name) => `public.wide.${name} full`),
});

const bench = (statementMemory: StatementMemory, user: string): Promise<Bench> =>
  startBench({
    target: target(),
    ...real.parts(),
    grant: () => GRANT,
    statementMemory,
    owner: { user },
  });
const wide = (at: number): string => `select *, ${at} as n from wide`;
const numbered = <T>(count: number, of: (at: number) => T): T[] =>
  Array.from({ length: count }, (_, at) => of(at));

test('a user whose statements take too much is told so, and nobody else is', async () => {
  const memory = new StatementMemory(4 * MIB);
  await using theirs = await bench(memory, 'alice');
  await using others = await bench(memory, 'bob');
  await using first = await RawClient.open(theirs.port);
  await using second = await RawClient.open(theirs.port);
  await using other = await RawClient.open(others.port);
  const prepared = async (client: RawClient, at: number) =>
    errors(await client.ask([parse(wide(at), `s${at}`), sync]))[0];

  let refused: Awaited<ReturnType<typeof prepared>>;
  for (let at = 0; refused === undefined && at < 40; at += 1) {
    refused = await prepared(at % 2 === 0 ? first : second, at);
  }
  expect(refused).toMatchObject({
    C: '53000',
    M: expect.stringContaining('take too much memory of the gateway'),
    D: expect.stringMatching(/would take \d.\d MiB; [12].\d MiB are taken/),
    H: expect.stringContaining('DEALLOCATE ALL'),
  });
  const text = await first.ask([query(numbered(20, wide).join(';'))]);
  expect(letters(text)).toBe('E Z');
  expect(errors(text)[0]).toMatchObject({ C: '53000' });
  // What everybody needs is there, and so is what is prepared already.
  expect(rows(await second.ask([query('select count(*) from wide')]))).toEqual([['0']]);
  const ran = await second.ask([bind({ statement: 's1' }), execute(), sync]);
  expect(letters(ran)).toBe('2 C Z');
  expect(await prepared(other, 1000)).toBeUndefined();

  // Statements without a name, kept by portals that have one.
  await second.ask([query('begin')]);
  let kept: typeof refused;
  for (let at = 0; kept === undefined && at < 40; at += 1) {
    const columns = `select ${COLUMNS.slice(0, 60).join()}, ${at} as n from wide`;
    const bound = bind({ portal: `p${at}` });
    kept = errors(await second.ask([parse(columns), bound, sync]))[0];
  }
  expect(kept).toMatchObject({ C: '53000' });
  await second.ask([query('rollback')]);

  expect(errors(await first.ask([query('deallocate all')]))).toEqual([]);
  expect(await prepared(first, 2000)).toBeUndefined();
});

test('the same text counts once, and what a connection kept is given back with it', async () => {
  const memory = new StatementMemory(4 * MIB);
  await using engine = await bench(memory, 'alice');
  for (let round = 0; round < 3; round += 1) {
    const clients: RawClient[] = [];
    for (let at = 0; at < 8; at += 1) {
      const client = await RawClient.open(engine.port);
      clients.push(client);
      expect(errors(await client.ask([parse(wide(1), 's'), sync]))).toEqual([]);
    }
    for (const client of clients) await client[Symbol.asyncDispose]();
    await engine.idle();
  }
  const { kept } = memory.account({ user: 'alice' }).makeRoom('', [], false) ?? { kept: 0 };
  expect(kept).toBe(0);
});

test('a pipeline of wide statements waits for answers, and all of them come', async () => {
  await using engine = await bench(new StatementMemory(), 'alice');
  await using client = await RawClient.open(engine.port);
  const received = await client.ask([...numbered(150, (at) => parse(wide(at), `s${at}`)), sync]);
  expect(letters(received)).toBe(`${'1 '.repeat(150)}Z`);
});

test('a COPY gets its data, however much its text keeps', async () => {
  await using engine = await bench(new StatementMemory(), 'alice');
  await using client = await RawClient.open(engine.port);
  const text = `${numbered(150, wide).join(';')}; copy loads from stdin`;
  client.send([query(text)]);
  await client.until((messages) => messages.some(({ type }) => type === 'G'));
  const after = await client.ask([message('d', Buffer.from('7\n')), copyDone]);
  expect(errors(after)).toEqual([]);
  expect(await sql('select id from loads')).toEqual([['7']]);
});
