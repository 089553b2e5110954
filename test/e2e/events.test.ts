/**
 * `hoop gateway events` with a real gateway: what it says of what people did, and that a reader misses
 * nothing when the gateway goes and comes back. What it never says: kept-words.test.ts.
 */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AuditEventSchema } from '../../src/api/events.ts';
import { LAUNCHER } from '../../src/demo/hoop-process.ts';
import { type Bench, openBench } from './demo-bench.ts';
import { startProgram } from './live-program.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

type Line = Readonly<Record<string, unknown>>;

const parsed = (ndjson: string): Line[] =>
  ndjson
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

async function events(...flags: string[]): Promise<Line[]> {
  const { stdout } = await bench.hoop('auditor', 'gateway', 'events', '--json', ...flags);
  return parsed(stdout);
}

describe('hoop gateway events', () => {
  test('is not for those who may not see sessions of others', async () => {
    const run = await bench.hoop('engineer', 'gateway', 'events', '--json');
    expect(run).toMatchObject({ exitCode: 4, stdout: '' });
    expect(run.stderr).toContain('HOOP_ACCESS_DENIED');
  });

  test('follows a gateway that is killed and comes back, and has each event once', async () => {
    const [last] = await events('--newest', '1');
    const cursor = String(last?.['cursor']);
    const args = ['gateway', 'events', '--follow', '--json', '--since', cursor];
    const home = bench.home('auditor');
    const follower = startProgram(process.execPath, [LAUNCHER, ...args], { home });
    const denied = () => bench.psql('engineer', 'DROP TABLE orders');
    const ofType = (type: string) =>
      parsed(follower.output().replace(/[^\n]*$/, '')).filter((line) => line['type'] === type);
    await denied();
    await expect.poll(() => ofType('statement.refused')).toHaveLength(1);
    await bench.demo.restartGateway('SIGKILL');
    await expect.poll(() => follower.errors()).toContain('retrying until it is back');
    await denied();
    await expect.poll(() => ofType('recording.complete')).toHaveLength(2);
    follower.child.kill('SIGINT');
    await follower.ended;
    const followed = parsed(follower.output());
    expect(followed.map((line) => line['cursor'])).toEqual(
      (await events('--since', cursor)).map((line) => line['cursor']),
    );
    expect(ofType('statement.refused')).toHaveLength(2);
    expect(ofType('gateway.started')).toHaveLength(1);
    for (const line of followed) AuditEventSchema.parse(line);
    // From the middle on, exactly.
    const middle = followed[2];
    const rest = await events('--since', String(middle?.['cursor']));
    expect(rest).toEqual(followed.slice(3));
  });

  test('counts what a client is refused as fast as it can ask, and nobody else waits', async () => {
    const [last] = await events('--newest', '1');
    const cursor = String(last?.['cursor']);
    await using connection = await bench.connect('engineer');
    const client = new pg.Client({ connectionString: connection.url, pipeline: true });
    client.on('error', () => undefined);
    await client.connect();
    const COUNT = 10_000;
    let refused = 0;
    await Promise.all(
      Array.from({ length: COUNT }, () =>
        client.query('DROP TABLE orders').catch(({ code }: { code?: string }) => {
          refused += code === '42501' ? 1 : 0;
        }),
      ),
    );
    expect(refused).toBe(COUNT);
    expect((await bench.psql('engineer', 'SELECT 1')).exitCode).toBe(0);
    await client.end();
    await connection.close();
    const { session } = connection;
    const found = await events('--since', cursor, '--session', session);
    const told = found.filter((line) => line['type'] === 'statement.refused');
    const sum = told.reduce((all, line) => all + Number(line['count'] ?? 1), 0);
    const end = found.find((line) => line['type'] === 'session.end');
    expect(end).toMatchObject({ statements: COUNT, denied: COUNT });
    expect(sum).toBe(COUNT);
    const lastedMs = Date.parse(String(end?.['time'])) - Date.parse(String(found[0]?.['time']));
    // 20 at once, one more in 3 s, and a count in 5 s.
    expect(told.length).toBeLessThanOrEqual(22 + lastedMs / 3000 + lastedMs / 5000);
  });
});
