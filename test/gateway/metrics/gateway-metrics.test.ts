import { readFileSync } from 'node:fs';
import { request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EmbeddedPostgres } from '../../../src/demo/embedded-postgres.ts';
import { startTestPostgres } from '../../postgres-template.ts';
import { type GatewayBench, startGatewayBench } from '../gateway-bench.ts';
import { TestSession } from '../test-session.ts';

const SECRET = 'canary-7f3a';

let postgres: EmbeddedPostgres;
let bench: GatewayBench;
let session: string;
let text: string;
beforeAll(async () => {
  postgres = await startTestPostgres();
  bench = await startGatewayBench({
    isPolicyFixed: true,
    target: postgres,
    config: 'metrics: { listen: "127.0.0.1:0" }',
  });
  const client = await bench.client('engineer');
  const opened = await TestSession.open(bench, client);
  session = opened.id;
  const stream = await opened.openStream(1);
  await stream.startUp('hoop', 'postgres');
  await stream.query(`SELECT generate_series(1, 3), '${SECRET}'`);
  await stream.query('DROP TABLE customers');
  text = await scrape();
  await stream.end();
  await opened.close();
});
afterAll(async () => {
  await bench?.[Symbol.asyncDispose]();
  await postgres?.[Symbol.asyncDispose]();
});

function address(): string {
  const started = bench.log.events.findLast(({ event }) => event === 'metrics.listening');
  return `http://127.0.0.1:${String(started?.['port'])}`;
}

async function scrape(): Promise<string> {
  const { statusCode, headers, body } = await request(`${address()}/metrics`);
  expect(statusCode).toBe(200);
  expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
  return body.text();
}

test('the metrics count sessions, logins, decisions and rows while a session is live', () => {
  const lines = text.split('\n');
  expect(lines).toContain('hoop_sessions_live{target="prod-db"} 1');
  expect(lines).toContain('hoop_sessions_started_total{kind="postgres"} 1');
  expect(lines).toContain('hoop_logins_total{kind="person"} 1');
  expect(lines).toContain('hoop_operations_total{effect="allow",kind="postgres"} 1');
  expect(lines).toContain('hoop_operations_total{effect="refuse",kind="postgres"} 1');
  expect(lines).toContain('hoop_rows_returned_total 3');
  expect(lines).toContain('hoop_ready 1');
  expect(lines).toContain('hoop_policy_in_force 1');
  expect(lines).toContain('hoop_policy_problem 0');
  expect(lines).toContain('hoop_approvals_waiting 0');
  expect(lines).toContain('hoop_disk_free_ratio 0.5');
  expect(text).toMatch(/^hoop_relayed_bytes_total\{direction="down"\} [1-9]/m);
  expect(text).toMatch(/^hoop_store_duration_seconds_count [1-9]/m);
});

test('the end of a session moves its bytes from live to total without losing any', async () => {
  const after = await scrape();
  expect(after).toContain('hoop_sessions_live{target=""} 0');
  expect(after).toMatch(/^hoop_sessions_ended_total\{reason="closed"\} 1$/m);
  const down = (of: string): number =>
    Number(/^hoop_relayed_bytes_total\{direction="down"\} (\d+)$/m.exec(of)?.[1]);
  expect(down(after)).toBeGreaterThanOrEqual(down(text));
});

test('no metric names a person, a session, a table or a value', () => {
  for (const hidden of [SECRET, session, 'engineer', 'customers', 'generate_series']) {
    expect(text).not.toContain(hidden);
  }
});

test('every sample follows the HELP and TYPE of its metric', () => {
  let current = '';
  for (const line of text.trimEnd().split('\n')) {
    const [, declared] = /^# (?:HELP|TYPE) ([a-z_]+) \S/.exec(line) ?? [];
    if (declared === undefined) {
      expect(line).toMatch(/^[a-z_]+(\{[a-z_]+="[^"\n]*"(,[a-z_]+="[^"\n]*")*\})? [-+.\dInfe]+$/);
      expect(line.startsWith(current)).toBe(true);
    } else {
      current = declared;
    }
  }
});

test('every metric of the alert rules and the dashboard exists', () => {
  const known = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
  for (const file of ['alerts.yaml', 'grafana-dashboard.json']) {
    const content = readFileSync(new URL(`../../../monitoring/${file}`, import.meta.url), 'utf8');
    const named = [...content.matchAll(/\b(?:hoop|process)_[a-z_]+(?=[{[ )])/g)].map(([name]) =>
      name.replace(/_bucket$/, ''),
    );
    expect(named.length).toBeGreaterThan(8);
    expect(named.filter((name) => !known.has(name))).toEqual([]);
  }
});

test('the listener answers nothing but /metrics', async () => {
  const other = await request(`${address()}/healthz`);
  expect(other.statusCode).toBe(404);
  await other.body.dump();
  const post = await request(`${address()}/metrics`, { method: 'POST', body: 'x' });
  expect(post.statusCode).toBe(405);
  await post.body.dump();
});

test('a gateway without an address for metrics listens nowhere', async () => {
  await using plain = await startGatewayBench({ isPolicyFixed: true });
  expect(plain.log.events.some(({ event }) => event === 'metrics.listening')).toBe(false);
});
