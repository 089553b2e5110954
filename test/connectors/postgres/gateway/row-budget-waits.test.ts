/** What happens while the store is asked whether a day has room for a count. Real policy, real server. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { DayReceipt } from '../../../../src/gateway/index/day-budget.ts';
import type { Grant } from '../../../../src/policy/types.ts';
import { grantOf } from '../policy/grant-fixture.ts';
import { ada, approvalBench, readyAgain, requestIn } from './approval-bench.ts';
import type { Bench } from './engine-bench.ts';
import {
  errors,
  letters,
  query,
  RawClient,
  rows,
  run,
  status,
  sync,
  terminate,
} from './raw-client.ts';
import { testTarget } from './test-target.ts';

const { target, sql } = testTarget('CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL)');
const real = approvalBench(target);

beforeEach(async () => {
  await sql('TRUNCATE t; INSERT INTO t SELECT n, 0 FROM generate_series(1, 20) n');
});

const update = (first: number, last = first): string =>
  `UPDATE t SET v = v + 1 WHERE id BETWEEN ${first} AND ${last}`;
const changed = async (): Promise<number> => Number((await sql('SELECT sum(v) FROM t'))[0]?.[0]);

/** A budget that answers when the test says so. */
class SlowBudget {
  readonly asked: number[] = [];
  readonly #open: PromiseWithResolvers<DayReceipt>[] = [];
  #wake: () => void = () => undefined;

  spend = (_who: unknown, _target: string, { amount }: { amount: number }): Promise<DayReceipt> => {
    this.asked.push(amount);
    const answer = Promise.withResolvers<DayReceipt>();
    this.#open.push(answer);
    this.#wake();
    return answer.promise;
  };

  /** Resolves when so many were asked for in all. */
  async untilAsked(count: number): Promise<void> {
    while (this.asked.length < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  answer(type: DayReceipt['type'] = 'spent'): void {
    this.#open.shift()?.resolve({ type, left: 0, resetsMs: 0 });
  }

  fail(): void {
    this.#open.shift()?.reject(new Error('the store is away'));
  }
}

let commits = 0;
const FREELY = ['allow select, insert, update, delete on public.*'];

function limited(rules = FREELY): Grant {
  commits += 1;
  const grant = grantOf({ rules });
  const limits = { ...grant.limits, changedRowsPerDay: 100 };
  return { ...grant, limits, commit: `waits-${commits}`, generation: `waits-${commits}` };
}

async function started(rules?: string[]) {
  const budget = new SlowBudget();
  const grant = { now: limited(rules) };
  const bench: Bench = await real.open(() => grant.now, { changedRows: budget });
  const client = await RawClient.open(bench.port);
  return {
    ...{ budget, grant, bench, client },
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await bench[Symbol.asyncDispose]();
    },
  };
}

/** Of the gateway; the server calls a transaction without Sync active. */
const COUNTED = `FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE '%UPDATE t SET%'`;
const backends = async (): Promise<number> =>
  Number((await sql(`SELECT count(*) ${COUNTED}`))[0]?.[0]);

describe('while the store is asked about a count', () => {
  test('what the target answered behind it waits, and keeps its order', async () => {
    await using one = await started();
    const { client, budget } = one;
    const answers = client.ask([
      run(update(1)),
      run('SELECT 7'),
      run(update(2, 3)),
      run('SELECT 8'),
      sync,
    ]);
    await budget.untilAsked(1);
    expect(await changed()).toBe(0);
    budget.answer();
    await budget.untilAsked(2);
    expect(await changed()).toBe(0);
    budget.answer();
    const came = await answers;
    expect(letters(came)).toBe('1 2 C 1 2 D C 1 2 C 1 2 D C Z');
    expect(rows(came)).toEqual([['7'], ['8']]);
    expect(budget.asked).toEqual([1, 2]);
    expect(await changed()).toBe(3);
  });

  test('a Sync, a COMMIT and the next Query wait', async () => {
    await using one = await started();
    const { client, budget } = one;
    for (const messages of [
      [run(update(1)), sync],
      [query(`${update(1)}; COMMIT; SELECT 1`)],
      [run('BEGIN'), run(update(1)), run('COMMIT'), sync],
      [query(update(1)), query('SELECT 1')],
    ]) {
      const before = await changed();
      const count = messages.filter((one) => one === sync || !Array.isArray(one)).length;
      const asked = budget.asked.length;
      const answers = client.ask(messages, count);
      await budget.untilAsked(asked + 1);
      expect(await changed()).toBe(before);
      budget.answer();
      expect(errors(await answers)).toEqual([]);
      expect(await changed()).toBe(before + 1);
      expect(budget.asked.length).toBe(asked + 1);
    }
  });

  test('a day without room refuses it, and what stands behind it does not run', async () => {
    await using one = await started();
    const { client, budget } = one;
    const answers = client.ask([run(update(1)), run(update(2)), sync]);
    await budget.untilAsked(1);
    budget.answer('exhausted');
    expect(letters(await answers)).toBe('1 2 E Z');
    expect(budget.asked).toEqual([1]);
    expect(await changed()).toBe(0);
  });

  test('a store that gives up refuses it', async () => {
    await using one = await started();
    const { client, budget } = one;
    const answers = client.ask([query('BEGIN'), query(update(1))], 2);
    await budget.untilAsked(1);
    budget.fail();
    const came = await answers;
    expect(errors(came)[0]?.['M']).toContain('cannot be stored now');
    expect(status(came)).toBe('E');
    expect(await changed()).toBe(0);
  });

  test('a policy that changes refuses it, and it stays used', async () => {
    await using one = await started();
    const { client, budget, grant } = one;
    const answers = client.ask([query(update(1))]);
    await budget.untilAsked(1);
    grant.now = limited();
    budget.answer();
    const [refused] = errors(await answers);
    expect(refused).toMatchObject({ C: '54000', R: 'HOOP_LIMIT' });
    expect(refused?.['M']).toContain('the session’s rights changed');
    expect(await changed()).toBe(0);
    const again = client.ask([query(update(1))]);
    await budget.untilAsked(2);
    budget.answer();
    expect(letters(await again)).toBe('C Z');
  });

  test('the end of the session commits nothing', async () => {
    await using one = await started();
    const { client, budget, bench } = one;
    client.send(query(update(1)));
    await budget.untilAsked(1);
    bench.session.abort();
    await client.closed();
    await bench.idle();
    budget.answer();
    await expect.poll(backends).toBe(0);
    expect(await changed()).toBe(0);
    expect(budget.asked).toEqual([1]);
  });

  test('a target that goes commits nothing, and the client hears of it behind what it got', async () => {
    await using one = await started();
    const { client, budget, bench } = one;
    client.send(query('BEGIN'), query(update(1)));
    await budget.untilAsked(1);
    expect(await sql(`SELECT pg_terminate_backend(pid) ${COUNTED}`)).toEqual([['t']]);
    await expect.poll(backends).toBe(0);
    budget.answer();
    await client.closed();
    await bench.idle();
    expect(bench.failures).toEqual([]);
    expect(await changed()).toBe(0);
    expect(budget.asked).toEqual([1]);
  });

  test('Terminate behind a statement lets it finish', async () => {
    await using one = await started();
    const { client, budget, bench } = one;
    client.send(query(update(1)), terminate);
    await budget.untilAsked(1);
    budget.answer();
    await client.closed();
    await bench.idle();
    expect(await changed()).toBe(1);
    expect(budget.asked).toEqual([1]);
  });

  test('a client that is gone commits nothing', async () => {
    await using one = await started();
    const { client, budget, bench } = one;
    client.send(query(update(1)));
    await budget.untilAsked(1);
    client.socket.resetAndDestroy();
    await bench.idle();
    budget.answer();
    await expect.poll(backends).toBe(0);
    expect(await changed()).toBe(0);
  });

  test('what somebody let go on where it stands waits, and is refused when the policy changes', async () => {
    await using one = await started([...FREELY, 'approve update above 4 rows on public.*']);
    const { client, budget, grant } = one;
    const ask = async (): Promise<string> => {
      await client.ask([query('BEGIN')]);
      const [refused = {}] = errors(await client.ask([query(update(1, 6))]));
      await client.ask([query('ROLLBACK')]);
      const id = requestIn(refused);
      await real.approvals().decide(ada, id, { decision: 'approve' });
      return id;
    };
    await ask();
    await client.ask([query('BEGIN')]);
    const from = client.received.length;
    client.send(query(update(1, 6)));
    await budget.untilAsked(1);
    grant.now = limited([...FREELY, 'approve update above 4 rows on public.*']);
    budget.answer();
    await client.until((all) => readyAgain(1)(all.slice(from)));
    const came = client.received.slice(from);
    expect(errors(came)[0]?.['M']).toContain('the session’s rights changed');
    expect(status(came)).toBe('E');
    await client.ask([query('ROLLBACK')]);
    expect(budget.asked).toEqual([6]);
    expect(await changed()).toBe(0);
  });
});
