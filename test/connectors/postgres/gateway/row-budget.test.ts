/** Limits of the rows that a transaction, or a person in a day, may change. Real policy, real server. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { DayBudget } from '../../../../src/gateway/index/day-budget.ts';
import { integer, type Store, sql as storeSql } from '../../../../src/gateway/store/store.ts';
import type { Grant } from '../../../../src/policy/types.ts';
import { collectLog } from '../../../gateway/collect-log.ts';
import { DRIVERS, type TestStores, testStores } from '../../../gateway/store/test-stores.ts';
import { grantOf } from '../policy/grant-fixture.ts';
import { ada, approvalBench } from './approval-bench.ts';
import type { Bench } from './engine-bench.ts';
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
  report,
  run,
  status,
  sync,
} from './raw-client.ts';
import { testTarget } from './test-target.ts';

const { target, sql } = testTarget(`
  CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL);
  CREATE TABLE child (id int, t_id int REFERENCES t ON DELETE CASCADE);
  CREATE TABLE loud (id int);
  CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
  CREATE CONSTRAINT TRIGGER late AFTER INSERT ON loud DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION noop();
`);
const real = approvalBench(target);
const NOON = Date.UTC(2026, 2, 1, 12);

const storesOf = testStores();

let now = NOON;
let stores: TestStores;
let store: Store;
let budget: DayBudget;

async function openStore(): Promise<void> {
  store = await stores.open();
  budget = new DayBudget('changed_rows', { store, clock: () => now, log: collectLog().log });
}

beforeEach(async () => {
  now = NOON;
  await store.change(storeSql('DELETE FROM changed_rows'));
  await sql(`TRUNCATE t, child, loud;
    INSERT INTO t SELECT n, 0 FROM generate_series(1, 20) n;
    INSERT INTO child SELECT n, 1 FROM generate_series(1, 3) n`);
});

type Limits = Pick<Grant['limits'], 'changedRowsPerTransaction' | 'changedRowsPerDay'>;

const FREELY = ['allow select, insert, update, delete, merge, copy, explain on public.*'];
let commits = 0;

function grantWith(limits: Limits, rules: readonly string[] = FREELY): Grant {
  commits += 1;
  const grant = grantOf({ rules });
  const generation = `generation-${commits}`;
  return {
    ...grant,
    commit: `commit-${commits}`,
    generation,
    limits: { ...grant.limits, ...limits },
  };
}

function started(limits: Limits, rules?: readonly string[]): Promise<Bench> {
  const grant = grantWith(limits, rules);
  return real.open(() => grant, { changedRows: { spend: (...use) => budget.spend(...use) } });
}

const update = (first: number, last = first): string =>
  `UPDATE t SET v = v + 1 WHERE id BETWEEN ${first} AND ${last}`;
const changed = async (): Promise<number> =>
  Number((await sql('SELECT coalesce(sum(v), 0) + 20 - count(*) FROM t'))[0]?.[0]);
const USED = storeSql('SELECT CAST(coalesce(sum(used), 0) AS BIGINT) AS n FROM changed_rows');
const spent = async (): Promise<number> => integer((await store.get(USED))?.['n']);

describe.each(DRIVERS)('with the budget of a day in %s', (driver) => {
  beforeAll(async () => {
    stores = await storesOf(driver);
    await openStore();
  });

  afterAll(() => stores[Symbol.asyncDispose]());

  describe('in a transaction', () => {
    const THREE = { changedRowsPerTransaction: 3 };

    test('small statements add up, and the one that goes over fails the transaction', async () => {
      await using one = await started(THREE);
      await using client = await RawClient.open(one.port);
      await client.ask([query('BEGIN')]);
      expect(letters(await client.ask([query(update(1, 2))]))).toBe('C Z');
      const answers = await client.ask([query(update(3, 4))]);
      expect(letters(answers)).toBe('E Z');
      expect(status(answers)).toBe('E');
      expect(errors(answers)[0]).toMatchObject({
        C: '54000',
        R: 'HOOP_LIMIT',
        M: 'UPDATE on public.t was rolled back: it changes 2 rows, and 1 is left in this transaction',
      });
      expect(errors(answers)[0]?.['D']).toContain('permits 3 rows per transaction');
      expect(errors(answers)[0]?.['H']).toContain('Commit before it');
      await client.ask([query('COMMIT')]);
      expect(await changed()).toBe(0);
      expect(letters(await client.ask([query(update(1, 3))]))).toBe('C Z');
      expect(await changed()).toBe(3);
    });

    test('each transaction begins anew, with COMMIT, ROLLBACK, AND CHAIN or none', async () => {
      await using one = await started(THREE);
      await using client = await RawClient.open(one.port);
      for (const text of [
        update(1, 3),
        update(1, 3),
        'BEGIN',
        update(1, 3),
        'COMMIT AND CHAIN',
        update(1, 3),
        'ROLLBACK AND CHAIN',
        update(1, 3),
        'COMMIT',
        update(1, 3),
      ]) {
        expect(letters(await client.ask([query(text)])), text).toBe('C Z');
      }
      expect(await changed()).toBe(15);
    });

    test('one statement above the limit is refused by itself', async () => {
      await using one = await started(THREE);
      await using client = await RawClient.open(one.port);
      const answers = await client.ask([query(update(1, 4))]);
      expect(letters(answers)).toBe('E Z');
      expect(errors(answers)[0]?.['H']).toContain('Change at most 3 rows in one transaction');
      expect(await changed()).toBe(0);
    });

    test('the statements of one text and of one pipeline are one transaction', async () => {
      await using one = await started(THREE);
      await using client = await RawClient.open(one.port);
      const text = await client.ask([query(`${update(1, 2)}; ${update(3, 4)}`)]);
      expect(letters(text)).toBe('C E Z');
      const small = Array.from({ length: 10 }, (_, n) => run(update(n + 1)));
      const pipeline = await client.ask([...small, sync]);
      expect(letters(pipeline)).toBe('1 2 C 1 2 C 1 2 C 1 2 E Z');
      expect(await changed()).toBe(0);
    });

    test('transactions of one pipeline, sent at once, are counted each for itself', async () => {
      await using one = await started(THREE);
      await using client = await RawClient.open(one.port);
      const all = [1, 4, 7].flatMap((n) => [run(update(n, n + 2)), sync]);
      expect(letters(await client.ask([...all, run(update(1, 4)), sync], 4))).toBe(
        '1 2 C Z 1 2 C Z 1 2 C Z 1 2 E Z',
      );
      const begun = [run('BEGIN'), run(update(1, 3)), run('COMMIT')];
      expect(letters(await client.ask([...begun, ...begun, sync]))).toBe(`${'1 2 C '.repeat(6)}Z`);
      expect(await changed()).toBe(15);
    });

    test('a COMMIT in a pipeline ends its transaction, whatever comes behind it', async () => {
      await using one = await started(THREE);
      await using client = await RawClient.open(one.port);
      const all = [run(update(1, 3)), run('COMMIT'), run(update(4, 7)), sync];
      expect(letters(await client.ask(all)).replace('1 2 C 1 2', '')).toContain('E Z');
      expect(await changed()).toBe(3);
    });

    test.each(['SAVEPOINT a', 'ROLLBACK TO a', 'RELEASE a'])(
      'gives nothing back after %s',
      async (text) => {
        await using one = await started(THREE);
        await using client = await RawClient.open(one.port);
        await client.ask([query('BEGIN')]);
        await client.ask([query('SAVEPOINT a')]);
        await client.ask([query(update(1, 3))]);
        await client.ask([query(text)]);
        expect(letters(await client.ask([query(update(4))]))).toBe('E Z');
        await client.ask([query('ROLLBACK')]);
        expect(await changed()).toBe(0);
      },
    );

    test('what WITH, EXPLAIN ANALYZE, foreign keys, EXECUTE and COPY change counts', async () => {
      await using one = await started(THREE);
      await using client = await RawClient.open(one.port);
      for (const text of [
        `WITH a AS (${update(1, 4)} RETURNING 1) SELECT count(*) FROM a`,
        `EXPLAIN ANALYZE ${update(1, 4)}`,
        'DELETE FROM t WHERE id = 1',
      ]) {
        const answers = await client.ask([query(text)]);
        expect(errors(answers)[0], text).toMatchObject({ R: 'HOOP_LIMIT' });
      }
      await client.ask([query(`PREPARE many AS ${update(1, 4)}`)]);
      expect(errors(await client.ask([query('EXECUTE many')]))[0]).toMatchObject({
        R: 'HOOP_LIMIT',
      });
      const data = message('d', Buffer.from('31\t0\n32\t0\n33\t0\n34\t0\n'));
      const copied = await client.ask([query('COPY t FROM STDIN'), data, copyDone]);
      expect(errors(copied)[0]).toMatchObject({ R: 'HOOP_LIMIT' });
      expect(await changed()).toBe(0);
    });

    test('a portal in pieces counts once, and with all of its rows', async () => {
      await using one = await started(THREE);
      await using client = await RawClient.open(one.port);
      const pieces = (text: string): Uint8Array[] => [
        parse(`${text} RETURNING id`),
        bind(),
        execute('', 1),
        execute('', 1),
        execute('', 0),
        sync,
      ];
      expect(letters(await client.ask(pieces(update(1, 3))))).toBe('1 2 D s D s D C Z');
      expect(letters(await client.ask(pieces(update(1, 4))))).toBe('1 2 E Z');
      expect(await changed()).toBe(3);
    });

    test('what cannot be counted is refused', async () => {
      await using one = await started(THREE);
      await using client = await RawClient.open(one.port);
      for (const messages of [
        [query('INSERT INTO loud VALUES (1)')],
        [run('INSERT INTO loud VALUES (1)'), sync],
        [query('INSERT INTO loud VALUES (1); SELECT 1')],
      ]) {
        const answers = await client.ask(messages);
        expect(errors(answers)[0]).toMatchObject({ C: '42501', R: 'HOOP_ROWS' });
        expect(errors(answers)[0]?.['D']).toContain('cannot be counted: a trigger of public.loud');
      }
      expect(await sql('SELECT count(*) FROM loud')).toEqual([['0']]);
      const copied = await client.ask([query('COPY (DELETE FROM t RETURNING id) TO STDOUT')]);
      expect(errors(copied)[0]).toMatchObject({ R: 'HOOP_ROWS' });
      expect(await changed()).toBe(0);
    });

    test('a limit that is far away changes nothing of what a client sees', async () => {
      await using one = await started({ changedRowsPerTransaction: 1000, changedRowsPerDay: 1000 });
      await using client = await RawClient.open(one.port);
      const batch = Array.from({ length: 50 }, (_, n) => run(update((n % 20) + 1)));
      expect(letters(await client.ask([...batch, sync]))).toBe(`${'1 2 C '.repeat(50)}Z`);
      for (const [text, answer] of [
        ['SELECT 1', 'T D C Z'],
        [`${update(1, 2)} RETURNING id`, 'T D D C Z'],
        [update(999), 'C Z'],
        [`${update(1)}; SELECT 1`, 'C T D C Z'],
      ] as const) {
        expect(letters(await client.ask([query(text)])), text).toBe(answer);
      }
      const plan = await client.ask([query(`EXPLAIN ${update(1)}`)]);
      expect(letters(plan)).toMatch(/^T( D)+ C Z$/);
      expect(await spent()).toBe(53);
    });
  });

  describe('in a day', () => {
    const FIVE = { changedRowsPerDay: 5 };

    test('adds up over statements, transactions and sessions, and begins anew at midnight', async () => {
      await using one = await started(FIVE);
      await using other = await started(FIVE);
      await using client = await RawClient.open(one.port);
      await using second = await RawClient.open(other.port);
      for (const id of [1, 2, 3]) await client.ask([query(update(id))]);
      const answers = await second.ask([query(update(4, 6))]);
      expect(letters(answers)).toBe('E Z');
      expect(errors(answers)[0]).toMatchObject({
        C: '54000',
        R: 'HOOP_LIMIT',
        M: 'UPDATE on public.t was rolled back: it changes 3 rows, and 2 are left today',
      });
      expect(errors(answers)[0]?.['H']).toContain('begins at 2026-03-02 00:00:00 UTC');
      expect(letters(await second.ask([query(update(4, 5))]))).toBe('C Z');
      expect(errors(await client.ask([query(update(1))]))[0]?.['M']).toContain(
        'none is left today',
      );
      // Nothing changes, nothing counts.
      expect(letters(await client.ask([query(update(999))]))).toBe('C Z');
      now += 86_400_000;
      expect(letters(await client.ask([query(update(1, 5))]))).toBe('C Z');
      expect(await changed()).toBe(10);
    });

    test('what is rolled back stays used, also after a restart', async () => {
      await using one = await started(FIVE);
      await using client = await RawClient.open(one.port);
      for (const text of ['BEGIN', update(1, 4), 'ROLLBACK']) await client.ask([query(text)]);
      await stores.close();
      await openStore();
      expect(letters(await client.ask([query(update(1, 2))]))).toBe('E Z');
      expect(letters(await client.ask([query(update(1))]))).toBe('C Z');
      expect(await changed()).toBe(1);
    });

    test('of sessions at the edge that run at once no more than the limit is committed', async () => {
      await using one = await started(FIVE);
      const clients = await Promise.all(Array.from({ length: 4 }, () => RawClient.open(one.port)));
      const texts = clients.map((_, n) =>
        Array.from({ length: 5 }, (__, m) => query(update(n * 5 + m + 1))),
      );
      await Promise.all(clients.map((client, n) => client.ask(texts[n] ?? [], 5)));
      for (const client of clients) await client[Symbol.asyncDispose]();
      expect(await changed()).toBe(5);
      expect(await spent()).toBe(5);
    });

    test('a pipeline that goes over is rolled back as a whole', async () => {
      await using one = await started(FIVE);
      await using client = await RawClient.open(one.port);
      const answers = await client.ask([...[1, 2, 3].map((n) => run(update(n, n + 1))), sync]);
      expect(letters(answers)).toBe('1 2 C 1 2 C 1 2 E Z');
      expect(await changed()).toBe(0);
      expect(await spent()).toBe(4);
    });

    test('a statement that fails uses nothing', async () => {
      await using one = await started(FIVE);
      await using client = await RawClient.open(one.port);
      await client.ask([query('INSERT INTO t VALUES (1, 1)')]);
      expect(await spent()).toBe(0);
    });

    test('what cannot be written down is not committed', async () => {
      await using one = await started(FIVE);
      await using client = await RawClient.open(one.port);
      await stores.close();
      const answers = await client.ask([query(update(1))]);
      await openStore();
      expect(letters(answers)).toBe('E Z');
      expect(errors(answers)[0]?.['M']).toContain('its row count cannot be stored now');
      expect(await changed()).toBe(0);
      expect(letters(await client.ask([query(update(1))]))).toBe('C Z');
    });
  });

  describe('what somebody approves', () => {
    const LIMITS = { changedRowsPerTransaction: 3, changedRowsPerDay: 3 };

    async function approved(client: RawClient, text: string): Promise<string> {
      client.received.splice(0);
      client.send(query(text));
      await client.until((all) => all.some(({ type }) => type === 'N'));
      const notice = client.received.find(({ type }) => type === 'N')?.body ?? Buffer.alloc(0);
      const [, id = ''] = /request ([0-9a-z]{12})/.exec(report(notice)['M'] ?? '') ?? [];
      await real.approvals().decide(ada, id, { decision: 'approve' });
      await client.until((all) => all.some(({ type }) => type === 'Z'));
      return letters(client.received);
    }

    test('above a number runs, and is used of what is left', async () => {
      await using one = await started(LIMITS, [
        ...FREELY,
        'approve insert, update above 4 rows on public.*',
      ]);
      await using client = await RawClient.open(one.port);
      expect(letters(await client.ask([query(update(1, 4))]))).toBe('E Z');
      expect(await approved(client, update(1, 6))).toBe('C Z');
      expect(await spent()).toBe(6);
      expect(await changed()).toBe(6);
      expect(letters(await client.ask([query(update(1))]))).toBe('E Z');
      expect(await approved(client, 'INSERT INTO loud VALUES (1)')).toBe('C Z');
    });

    test('in a transaction of the client runs when it is repeated, and is used of what is left', async () => {
      await using one = await started(LIMITS, [
        ...FREELY,
        'approve update above 4 rows on public.*',
      ]);
      await using client = await RawClient.open(one.port);
      await client.ask([query('BEGIN')]);
      const [refused] = errors(await client.ask([query(update(1, 6))]));
      const [, id = ''] =
        /request ([0-9a-z]{12})/.exec(`${refused?.['M']} ${refused?.['D']}`) ?? [];
      await client.ask([query('ROLLBACK')]);
      expect(await spent()).toBe(0);
      await real.approvals().decide(ada, id, { decision: 'approve' });
      await client.ask([query('BEGIN')]);
      await stores.close();
      const failed = await client.ask([query(update(1, 6))]);
      await openStore();
      expect(errors(failed)[0]?.['M']).toContain('cannot be stored now');
      expect(status(failed)).toBe('E');
      await client.ask([query('ROLLBACK')]);
      const [again] = errors(await client.ask([query('BEGIN'), query(update(1, 6))], 2));
      const [, next = ''] = /request ([0-9a-z]{12})/.exec(`${again?.['M']} ${again?.['D']}`) ?? [];
      await real.approvals().decide(ada, next, { decision: 'approve' });
      await client.ask([query('ROLLBACK')]);
      await client.ask([query('BEGIN')]);
      expect(letters(await client.ask([query(update(1, 6))]))).toBe('C Z');
      expect(await spent()).toBe(6);
      await client.ask([query('COMMIT')]);
      expect(await changed()).toBe(6);
    });

    test('however much it changes runs, and is counted', async () => {
      await using one = await started(LIMITS, [...FREELY, 'approve delete, insert on public.*']);
      await using client = await RawClient.open(one.port);
      expect(await approved(client, 'DELETE FROM t WHERE id > 10')).toBe('C Z');
      expect(await spent()).toBe(10);
      expect(await approved(client, 'INSERT INTO loud VALUES (1)')).toBe('C Z');
      expect(letters(await client.ask([query(update(1))]))).toBe('E Z');
    });
  });
});
