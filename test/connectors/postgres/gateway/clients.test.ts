/** Real clients through the engine: psql and the pg driver. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterEach, describe, expect, test } from 'vitest';
import { type Bench, type Script, startBench } from './engine-bench.ts';
import { testTarget } from './test-target.ts';

const { target } = testTarget(`
  CREATE TABLE orders (id int PRIMARY KEY, status text NOT NULL);
  INSERT INTO orders SELECT g, 'open' FROM generate_series(1, 1000) g;
`);

const run = promisify(execFile);

const script: Script = (text) => {
  if (/^\s*(drop|delete)/i.test(text)) return { deny: {} };
  if (/^\s*copy\s+\w+\s+from/i.test(text))
    return { effect: { copy: { direction: 'in', format: 'text' } } };
  if (/^\s*copy/i.test(text)) return { effect: { copy: { direction: 'out', format: 'text' } } };
  return { needsPlace: true };
};

const open: pg.Client[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.end()));
});

async function connect(bench: Bench): Promise<pg.Client> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: bench.port,
    user: 'x',
    database: 'postgres',
  });
  client.on('error', () => undefined);
  await client.connect();
  open.push(client);
  return client;
}

const psql = async (
  bench: Bench,
  ...args: string[]
): Promise<{ stdout: string; stderr: string; code: number }> => {
  const url = `host=127.0.0.1 port=${bench.port} user=x dbname=postgres sslmode=prefer`;
  try {
    return { ...(await run('psql', ['-X', '-d', url, ...args])), code: 0 };
  } catch (error) {
    // execFile's error has what the program wrote, and its exit status.
    const { stdout, stderr, code } = error as { stdout: string; stderr: string; code: number };
    return { stdout, stderr, code };
  }
};

describe('psql', () => {
  test('shows a refusal with DETAIL and HINT and goes on', async () => {
    await using bench = await startBench({ target: target(), script });
    const { stdout, stderr } = await psql(
      bench,
      '-At',
      '-c',
      'DELETE FROM orders',
      '-c',
      'SELECT count(*) FROM orders',
    );
    expect(stderr).toBe(
      [
        'ERROR:  statement not allowed',
        'DETAIL:  Rule test/rule (policies/test.yaml:7) at commit c0ffee.',
        'HINT:  Ask the test.',
        '',
      ].join('\n'),
    );
    expect(stdout).toBe('1000\n');
  });

  test('runs its backslash commands', async () => {
    await using bench = await startBench({ target: target(), script });
    const { stdout, code } = await psql(
      bench,
      '-c',
      '\\d orders',
      '-c',
      '\\dt',
      '-c',
      '\\conninfo',
    );
    expect(code).toBe(0);
    expect(stdout).toContain('Table "public.orders"');
    expect(stdout).toContain('"orders_pkey" PRIMARY KEY');
  });

  test('copies in and out', async () => {
    await using bench = await startBench({ target: target(), script });
    const out = await psql(
      bench,
      '-c',
      '\\copy (SELECT id FROM orders WHERE id < 4 ORDER BY 1) TO STDOUT',
    );
    expect(out.stdout).toBe('1\n2\n3\n');
    const back = await psql(
      bench,
      '-c',
      'CREATE TEMP TABLE c (a int)',
      '-c',
      "\\copy c FROM PROGRAM 'seq 1 50000'",
      '-c',
      'SELECT sum(a) FROM c',
    );
    expect(back.stdout).toContain('COPY 50000');
    expect(back.stdout).toContain('1250025000');
  });

  test('reads a large result with FETCH_COUNT', async () => {
    await using bench = await startBench({ target: target(), script });
    const { stdout } = await psql(
      bench,
      '-At',
      '-v',
      'FETCH_COUNT=100',
      '-c',
      'SELECT id FROM orders ORDER BY id',
    );
    expect(stdout.trim().split('\n')).toHaveLength(1000);
  });
});

describe('the pg driver', () => {
  test('runs parameters, named statements and errors in turn', async () => {
    await using bench = await startBench({ target: target(), script });
    const client = await connect(bench);
    for (let id = 1; id <= 20; id += 1) {
      const { rows } = await client.query({
        name: 'by-id',
        text: 'SELECT status FROM orders WHERE id = $1',
        values: [id],
      });
      expect(rows).toEqual([{ status: 'open' }]);
    }
    await expect(client.query('DELETE FROM orders WHERE id = $1', [1])).rejects.toMatchObject({
      code: '42501',
      routine: 'HOOP_DENIED',
      hint: 'Ask the test.',
    });
    const { rows } = await client.query('SELECT count(*)::int AS n FROM orders');
    expect(rows).toEqual([{ n: 1000 }]);
  });

  test('keeps transactions apart on several connections', async () => {
    await using bench = await startBench({ target: target(), script });
    const [one, two] = [await connect(bench), await connect(bench)];
    await one.query('BEGIN');
    await one.query("UPDATE orders SET status = 'paid' WHERE id = 1");
    expect((await two.query('SELECT status FROM orders WHERE id = 1')).rows).toEqual([
      { status: 'open' },
    ]);
    await expect(one.query('DROP TABLE orders')).rejects.toMatchObject({ code: '42501' });
    await expect(one.query('SELECT 1')).rejects.toMatchObject({ code: '25P02' });
    await one.query('ROLLBACK');
    expect((await one.query('SELECT status FROM orders WHERE id = 1')).rows).toEqual([
      { status: 'open' },
    ]);
  });

  test('listens and is notified', async () => {
    await using bench = await startBench({ target: target(), script });
    const [listener, notifier] = [await connect(bench), await connect(bench)];
    const heard = new Promise((resolve) => listener.once('notification', resolve));
    await listener.query('LISTEN news');
    await notifier.query("NOTIFY news, 'hello'");
    expect(await heard).toMatchObject({ channel: 'news', payload: 'hello' });
  });

  test('pipelines many queries', async () => {
    await using bench = await startBench({ target: target(), script });
    const client = await connect(bench);
    const results = await Promise.all(
      Array.from({ length: 300 }, (_, n) => client.query('SELECT $1::int AS n', [n])),
    );
    expect(results.map(({ rows }) => rows[0].n)).toEqual(Array.from({ length: 300 }, (_, n) => n));
  });
});
