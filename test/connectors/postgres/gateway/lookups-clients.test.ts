/** Everyday lookups as people and programs send them: psql, the pg driver, what ORMs write. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import pg from 'pg';
import { expect, test } from 'vitest';
import type { Budget, DayUse } from '../../../../src/gateway/index/day-budget.ts';
import { grantOf } from '../policy/grant-fixture.ts';
import { type Bench, startBench } from './engine-bench.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

const { target } = testTarget(`
  CREATE TABLE customers (id int PRIMARY KEY, tenant_id int, email varchar(100), note text);
  INSERT INTO customers SELECT n, n % 3, 'user' || n || '@example.org', 'n'
    FROM generate_series(1, 50) n;
`);
const real = realEngine(target);
const run = promisify(execFile);

const grant = grantOf({
  rules: ['allow select on public.*'],
  masks: ['public.customers.email partial lookup'],
  inference: 'deny',
});

/** Counts, and permits. */
function counter() {
  const uses: number[] = [];
  const lookups: Budget = {
    spend: async (_person, _target, { amount, limit }: DayUse) => {
      uses.push(amount);
      return { type: 'spent', left: limit - amount, resetsMs: 0 };
    },
  };
  return { uses, lookups };
}

const bench = (lookups: Budget): Promise<Bench> =>
  startBench({ target: target(), ...real.parts(), grant: () => grant, lookups });

test('psql: the row, its masked address, and what is wrong with another comparison', async () => {
  const { uses, lookups } = counter();
  await using engine = await bench(lookups);
  const url = `host=127.0.0.1 port=${engine.port} user=x dbname=postgres sslmode=prefer`;
  const psql = (...args: string[]) => run('psql', ['-X', '-A', '-t', '-d', url, ...args]);
  const { stdout } = await psql(
    ...['-c', "SELECT id, email FROM customers WHERE email = 'user7@example.org'"],
    ...['-c', '\\d customers'],
    ...['-c', "SELECT count(*) FROM customers WHERE lower(email) = lower('USER8@example.org')"],
  );
  expect(stdout).toMatch(/^7\|u/);
  expect(stdout).not.toContain('user7@');
  expect(stdout.trim().split('\n').at(-1)).toBe('1');
  expect(uses).toEqual([1, 1]);
  const { stderr } = await psql('-c', "SELECT id FROM customers WHERE email LIKE 'user7%'").catch(
    (error: unknown) => error as { stderr: string },
  );
  expect(stderr).toContain('HINT:  It can be compared with given values, which are counted');
  expect(uses).toEqual([1, 1]);
});

test('the pg driver: parameters, lists and arrays', async () => {
  const { uses, lookups } = counter();
  await using engine = await bench(lookups);
  const client = new pg.Client(`postgres://x@127.0.0.1:${engine.port}/postgres`);
  await client.connect();
  try {
    const ids = async (where: string, values: readonly unknown[]) => {
      const text = `SELECT "id" FROM "customers" WHERE ${where}`;
      const { rows } = await client.query<{ id: number }>(text, [...values]);
      return rows.map(({ id }) => id);
    };
    expect(await ids('"email" = $1 LIMIT 1', ['user5@example.org'])).toEqual([5]);
    expect(await ids('lower(email) = lower($1)', ['User6@Example.org'])).toEqual([6]);
    const both = 'email = $1 AND tenant_id = $2 ORDER BY id';
    expect(await ids(both, ['user7@example.org', 1])).toEqual([7]);
    const three = ['user1@example.org', 'nobody', 'user2@example.org'];
    expect(await ids('email IN ($1, $2, $3) ORDER BY id', three)).toEqual([1, 2]);
    expect(await ids('email = ANY ($1) ORDER BY id', [three])).toEqual([1, 2]);
    expect(await ids('email = ANY ($1::text[]) ORDER BY id', [['a"b', 'c,d', null]])).toEqual([]);
    const exists = 'SELECT EXISTS(SELECT 1 FROM customers WHERE email = $1) AS there';
    expect((await client.query(exists, ['user9@example.org'])).rows).toEqual([{ there: true }]);
    expect((await client.query(exists, ['nobody'])).rows).toEqual([{ there: false }]);
    expect(uses).toEqual([1, 1, 1, 3, 3, 3, 1, 1]);
    const named = { name: 'by-email', text: 'SELECT id FROM customers WHERE email = $1' };
    for (let n = 1; n <= 3; n += 1) {
      const { rows } = await client.query({ ...named, values: [`user${n}@example.org`] });
      expect(rows).toEqual([{ id: n }]);
    }
    expect(uses.slice(8)).toEqual([1, 1, 1]);
  } finally {
    await client.end();
  }
});
