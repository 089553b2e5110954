/** The engine with the policy and the catalog that it has in production, not with scripted ones. */
import { describe, expect, test } from 'vitest';
import { grantOf } from '../policy/grant-fixture.ts';
import { type Bench, startBench } from './engine-bench.ts';
import {
  bind,
  closePortal,
  closeStatement,
  describePortal,
  describeStatement,
  errors,
  execute,
  flush,
  letters,
  parse,
  query,
  RawClient,
  type Received,
  rows,
  run,
  sync,
} from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

const { target, direct } = testTarget(`
  CREATE SCHEMA one; CREATE SCHEMA two;
  CREATE TABLE one.t (id int, v text); INSERT INTO one.t VALUES (1, 'plain-1'), (2, 'plain-2');
  CREATE TABLE two.t (id int, v text); INSERT INTO two.t VALUES (1, 'hidden-1'), (2, 'hidden-2');
  CREATE TABLE one.touched (id int, at timestamptz);
  CREATE FUNCTION one.touch() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN NEW.at := now(); RETURN NEW; END $$;
  CREATE TRIGGER touch BEFORE INSERT ON one.touched FOR EACH ROW EXECUTE FUNCTION one.touch();
  CREATE TABLE one.swapped (id int);
  CREATE FUNCTION one.swap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    CREATE OR REPLACE VIEW one.view AS SELECT id, v || '' AS v FROM two.t;
    RETURN NEW; END $$;
  CREATE TRIGGER swap BEFORE INSERT ON one.swapped FOR EACH ROW EXECUTE FUNCTION one.swap();
  CREATE VIEW one.view AS SELECT id, v || '' AS v FROM one.t;
`);
const grant = grantOf({ rules: ['allow *'], masks: ['two.t.v full'] });

const real = realEngine(target);

test('a statement that is wrong by itself is recorded as failed, and only a refusal as denied', async () => {
  await using engine = await bench();
  await using client = await RawClient.open(engine.port);
  for (const text of [
    'SELEC 1',
    'SELECT nope FROM one.t',
    'SELECT * FROM one.nowhere',
    'SELECT one.nothing()',
    'SELECT 1::one.nope',
    'SET standard_conforming_strings = off',
    'SELECT 1',
  ]) {
    await client.ask([query(text)]);
  }
  const decisions = engine.events.flatMap((event) =>
    event.type === 'decision' ? [event.effect] : [],
  );
  expect(decisions).toEqual(['fail', 'fail', 'fail', 'fail', 'fail', 'refuse', 'allow']);
  expect(engine.evidence).toHaveLength(1);
});

const bench = (): Promise<Bench> =>
  startBench({
    target: target(),
    ...real.parts(),
    grant: () => grant,
  });

const shown = (received: readonly Received[]): boolean =>
  received.some(({ body }) => body.includes('hidden-'));

describe('rows as values', () => {
  test.each([
    ['SELECT t FROM one.t WHERE id = 1', '(1,plain-1)'],
    ['SELECT t FROM two.t WHERE id = 1', null],
    ['SELECT q.row FROM (SELECT t AS row FROM two.t WHERE id = 1) q', null],
  ])('%s', async (sql, value) => {
    await using started = await bench();
    await using client = await RawClient.open(started.port);
    const answers = await client.ask([query(sql)]);
    expect(errors(answers)).toEqual([]);
    expect(rows(answers)).toEqual([[value]]);
  });
});

describe('after a trigger in the same transaction', () => {
  test('statements go on when it has left the catalog as it was', async () => {
    await using started = await bench();
    await using client = await RawClient.open(started.port);
    await client.ask([query('BEGIN')]);
    await client.ask([query('INSERT INTO one.touched VALUES (1)')]);
    const answers = await client.ask([query('SELECT v FROM one.t WHERE id = 1')]);
    expect([errors(answers), rows(answers)]).toEqual([[], [['plain-1']]]);
    const piped = await client.ask([
      run('INSERT INTO one.touched VALUES (2)'),
      run("UPDATE one.t SET v = v WHERE id = 1 AND v = 'plain-1'"),
      run('SELECT v FROM two.t WHERE id = 1'),
      sync,
    ]);
    expect([errors(piped), rows(piped)]).toEqual([[], [['****']]]);
    expect(letters(await client.ask([query('ROLLBACK')]))).toBe('C Z');
  });

  test('a name that it has given to something else is masked as that', async () => {
    await using started = await bench();
    await using client = await RawClient.open(started.port);
    await client.ask([query('SELECT v FROM one.view')]);
    await client.ask([query('BEGIN')]);
    const made = await client.ask([query('INSERT INTO one.swapped VALUES (1)')]);
    expect(errors(made)).toEqual([]);
    const answers = await client.ask([query('SELECT v FROM one.view')]);
    expect(rows(answers)).toEqual([['****'], ['****']]);
    await client.ask([query('ROLLBACK')]);
    const again = await client.ask([query('SELECT v FROM one.view WHERE id = 1')]);
    expect(rows(again)).toEqual([['plain-1']]);
  });
});

describe('DISCARD ALL', () => {
  const BOUND = [bind({ statement: 's' }), execute(), sync];
  const FROM_T = query('SELECT v FROM t WHERE id = 1');

  /** Names of the protocol and of SQL, and a search_path, all of which a reset would forget. */
  async function withState(port: number): Promise<RawClient> {
    const client = await RawClient.open(port);
    await client.ask([query('SET search_path = two')]);
    await client.ask([parse('SELECT v FROM t WHERE id = 1', 's'), sync]);
    await client.ask([query('PREPARE p AS SELECT v FROM t WHERE id = 2')]);
    return client;
  }

  test.each([
    ['as a Query', [query('DISCARD ALL')]],
    ['as an extended message', [run('DISCARD ALL'), sync]],
  ])(
    '%s in a failed transaction is refused by the target, and nothing is forgotten here',
    async (_title, discard) => {
      await using started = await bench();
      await using client = await withState(started.port);
      await client.ask([query('BEGIN')]);
      await client.ask([query('SELECT 1/0')]);
      const refused = await client.ask(discard);
      expect(letters(refused)).toBe('E Z');
      expect(errors(refused)[0]).toMatchObject({ C: '25P02' });
      expect(letters(await client.ask([query('ROLLBACK')]))).toBe('C Z');
      expect(rows(await client.ask(BOUND))).toEqual([['****']]);
      expect(rows(await client.ask([query('EXECUTE p')]))).toEqual([['****']]);
      expect(rows(await client.ask([FROM_T]))).toEqual([['****']]);
    },
  );

  test('behind an error in the same pipeline is skipped, and nothing is forgotten here', async () => {
    await using started = await bench();
    await using client = await withState(started.port);
    const skipped = await client.ask([run('SELECT 1/0'), run('DISCARD ALL'), sync]);
    expect(errors(skipped)).toMatchObject([{ C: '22012' }]);
    expect(rows(await client.ask(BOUND))).toEqual([['****']]);
    expect(rows(await client.ask([query('EXECUTE p')]))).toEqual([['****']]);
    expect(rows(await client.ask([FROM_T]))).toEqual([['****']]);
  });

  test('in a transaction that has not failed is refused as well, and nothing is forgotten here', async () => {
    await using started = await bench();
    await using client = await withState(started.port);
    await client.ask([query('BEGIN')]);
    const refused = await client.ask([query('DISCARD ALL')]);
    expect(errors(refused)).toMatchObject([{ C: '25001' }]);
    await client.ask([query('ROLLBACK')]);
    expect(rows(await client.ask(BOUND))).toEqual([['****']]);
    expect(rows(await client.ask([FROM_T]))).toEqual([['****']]);
  });

  test('that the target has done is done here', async () => {
    await using started = await bench();
    await using client = await withState(started.port);
    expect(letters(await client.ask([query('DISCARD ALL')]))).toBe('C Z');
    expect(errors(await client.ask(BOUND))).toMatchObject([{ C: '26000' }]);
    expect(letters(await client.ask([query('EXECUTE p')]))).toBe('E Z');
    expect(errors(await client.ask([FROM_T]))).toMatchObject([{ C: '42P01' }]);
  });
});

const LONG = 'n'.repeat(63);
const NAMES = [
  '',
  'a',
  'b',
  `${LONG}1`,
  `${LONG}2`,
  LONG,
  `${'ü'.repeat(31)}ü`,
  'ü'.repeat(31),
] as const;
/** Computed, so that descriptions name no table that would give a mix-up away. */
const TEXTS = [
  'SELECT v || $$$$ FROM t ORDER BY id',
  'SELECT v || $$$$ FROM one.t ORDER BY id',
  'SELECT v || $$$$ FROM two.t ORDER BY id',
  'SELECT $$x$$ || id FROM two.t',
] as const;

/**
 * Programs of messages against the server alone. What the gateway refuses, and the server does
 * not, ends the comparison of a program, since from there on the two connections differ; that
 * nothing hidden is shown must hold to its end.
 */
test('random programs show what the server shows, but for what is masked', async () => {
  await using started = await bench();
  let compared = 0;
  for (let program = 0; program < PROGRAMS; program += 1) {
    const random = randomNumbers(program);
    await using ours = await RawClient.open(started.port);
    await using theirs = await direct();
    let isSame = true;
    for (let round = 0; round < 12; round += 1) {
      const messages = randomMessages(random);
      const [got, due] = [await play(ours, messages), await play(theirs, messages)];
      const where = `program ${program}, round ${round}`;
      expect(shown(got), where).toBe(false);
      isSame &&= !errors(got).some(({ R }) => R?.startsWith('HOOP_'));
      if (!isSame) continue;
      compared += messages.length;
      expect(letters(got), where).toBe(letters(due));
      expect(rows(got), where).toEqual(rows(due).map((row) => row.map(masked)));
    }
  }
  expect(started.failures).toEqual([]);
  expect(compared).toBeGreaterThan(PROGRAMS * 5);
});

const PROGRAMS = 60;

const masked = (value: string | null): string | null =>
  value?.startsWith('hidden-') ? '****' : value;

function randomMessages(random: (below: number) => number): readonly Uint8Array[] {
  const pick = <T>(items: readonly T[]): T => {
    const item = items[random(items.length)];
    if (item === undefined) throw new RangeError('nothing to pick from');
    return item;
  };
  const name = (): string => pick(NAMES);
  const text = (): string => pick(TEXTS);
  const quoted = (): string => `"${pick(NAMES.filter((one) => one !== ''))}"`;
  const command = (): string =>
    pick<() => string>([
      () => `PREPARE ${quoted()} AS ${text()}`,
      () => `EXECUTE ${quoted()}`,
      () => `DEALLOCATE ${quoted()}`,
      () => 'DEALLOCATE ALL',
      () => `DECLARE ${quoted()} CURSOR ${pick(['', 'WITH HOLD '])}FOR ${text()}`,
      () => `FETCH ${pick(['1', 'ALL', 'BACKWARD ALL'])} FROM ${quoted()}`,
      () => `CLOSE ${quoted()}`,
      () => `SET ${pick(['', 'LOCAL '])}search_path = ${pick(['one', 'two', 'pg_temp, two'])}`,
      () => pick(['BEGIN', 'COMMIT', 'ROLLBACK', 'SAVEPOINT s', 'ROLLBACK TO s', 'RELEASE s']),
      () => pick(['RESET search_path', 'DISCARD ALL', 'RESET ALL', 'SELECT 1/0', 'SELEC']),
      () => pick(['CREATE TEMP TABLE t (id int, v text)', 'DROP TABLE IF EXISTS pg_temp.t']),
      () => pick(['SET client_encoding = LATIN1', 'SET client_encoding = UTF8']),
      text,
    ])();
  const step = (): readonly Uint8Array[] =>
    pick<() => readonly Uint8Array[]>([
      () => [parse(text(), name())],
      () => [parse(command(), name())],
      () => [bind({ statement: name(), portal: name(), formats: [random(2)] })],
      () => [execute(name(), random(2))],
      () => [closeStatement(name()), closePortal(name())],
      () => [describePortal(name())],
      () => [describeStatement(name())],
      () => [pick([flush, sync])],
      () => [sync, query(command())],
      () => [sync, query(command())],
      () => [sync, query(pick(['CLOSE ALL', 'DISCARD ALL']))],
      // A Query without Sync before it makes PostgreSQL 18.4 itself lose its way now and then.
      () => [sync, query(`${command()}; ${command()}`)],
      () => run(command()),
    ])();
  return Array.from({ length: 1 + random(8) }, step).flat();
}

/** Up to the answer to an empty text, which comes in every state of a transaction. */
async function play(
  client: RawClient,
  messages: readonly Uint8Array[],
): Promise<readonly Received[]> {
  const from = client.received.length;
  client.send(messages, sync, query(''));
  await client.until((all) => {
    const received = all.slice(from);
    return received.at(-1)?.type === 'Z' && received.some(({ type }) => type === 'I');
  });
  expect(client.isClosed).toBe(false);
  return client.received.slice(from);
}

/** The same on every run: https://en.wikipedia.org/wiki/Xorshift */
function randomNumbers(seed: number): (below: number) => number {
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

test('a typo in a failed transaction is told as one, also where names are not certain', async () => {
  await using started = await bench();
  await using client = await RawClient.open(started.port);
  await client.ask([query('BEGIN')]);
  await client.ask([query('SET LOCAL search_path = one')]);
  await client.ask([query('SELECT 1/0')]);
  const typo = await client.ask([query('SELEC 1')]);
  expect(errors(typo)[0]).toMatchObject({ C: '42601', M: 'syntax error at or near "SELEC"' });
  expect(letters(typo)).toBe('E Z');
});
