/**
 * A power cut at the gateway: its process is gone, and with it the end of its newest file. `hoop connect`
 * lives, and meets the gateway that has started again.
 */
import { readdirSync, readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeFrameHeader, frameLength } from '../../src/recording/formats/frame.ts';
import { SEGMENT_HEADER_LENGTH } from '../../src/recording/formats/segment-header.ts';
import { type Bench, openBench } from './demo-bench.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

/** The first segment of a session's recording, wherever the gateway keeps it. */
function segmentOf(session: string): string {
  const found = readdirSync(bench.demo.directory, { recursive: true, encoding: 'utf8' }).find(
    (path) => path.includes(session) && path.endsWith('seg-00000001.hrs'),
  );
  return join(bench.demo.directory, found ?? 'nothing is recorded');
}

function frames(path: string): { readonly type: string; readonly end: number }[] {
  const bytes = readFileSync(path);
  const found: { type: string; end: number }[] = [];
  for (let at = SEGMENT_HEADER_LENGTH; at < bytes.length; ) {
    const header = decodeFrameHeader(bytes.subarray(at));
    at += frameLength(header);
    found.push({ type: header.type, end: at });
  }
  return found;
}

const cuts = (path: string): number => frames(path).filter(({ type }) => type === 'cut').length;

test('what a power cut took is sent back by the hoop that lives, and whoever reads it is told whose word it is', async () => {
  const connection = await bench.connect('engineer');
  const client = new pg.Client({ connectionString: connection.url });
  const broken = new Promise((resolve) => client.once('end', resolve));
  client.on('error', () => undefined);
  await client.connect();
  await client.query("SELECT 'kept-marker' AS m");
  const segment = segmentOf(connection.session);
  await expect.poll(() => cuts(segment), { timeout: 60_000 }).toBeGreaterThan(0);
  const kept = frames(segment).at(-1)?.end ?? 0;
  const signed = cuts(segment);
  await client.query("SELECT 'lost-marker' AS m");
  bench.demo.gatewayProcess().kill('SIGKILL');
  // It stands still meanwhile: how long a gateway is away is not what is tried here.
  connection.service.kill('SIGSTOP');
  await bench.demo.gatewayProcess().exited;
  // No crash takes what was signed, and nothing was: the next cut is seconds away.
  expect(cuts(segment)).toBe(signed);
  expect(readFileSync(segment).length).toBeGreaterThan(kept + 40);
  truncateSync(segment, kept + 40);
  await bench.demo.restartGateway();
  connection.service.kill('SIGCONT');
  await broken;
  await connection.event('uploaded');
  await connection.close();
  expect(connection.service.log()).toMatch(/\d+ bytes that the gateway had lost were sent back/);

  const { session } = connection;
  const run = (...args: string[]) => bench.hoop('engineer', 'sessions', ...args);
  const verified = await run('verify', session);
  expect(verified.exitCode).toBe(2);
  expect(verified.output).toMatch(/stream 1 down are the client's word; the gateway lost them/);
  expect(verified.output).toContain('the receipt on this machine is for the same manifest');
  expect(verified.output).not.toContain('tampered');
  const [head, ...entries] = (await run('replay', session, '--json')).stdout.trim().split('\n');
  expect(head).toContain('"exitStatus":2');
  const isLost = entries.map((line) => String(JSON.parse(line).type) === 'lost');
  const lost = entries.filter((_line, index) => isLost[index]);
  expect(isLost.lastIndexOf(false)).toBeLessThan(isLost.indexOf(true));
  expect(lost.join('\n')).toContain('lost-marker');
  expect(entries.join('\n').split('lost-marker').length).toBe(
    lost.join('\n').split('lost-marker').length,
  );
  const search = async (text: string): Promise<unknown> =>
    JSON.parse((await run('search', text, '--json')).stdout);
  // Nothing found is no proof: it says that the end was not searched.
  const unread = [{ session, why: 'lost' }];
  expect(await search('kept-marker')).toMatchObject({ hits: [{ session }], unread });
  expect(await search('lost-marker')).toMatchObject({ hits: [], unread });
  // Nothing else of it hinders anybody.
  const next = await bench.psql('engineer', 'SELECT 1');
  expect(next.stderr).not.toContain('not signed by both sides');
  const [, listed] = await bench.sessions('engineer');
  expect(listed).toMatchObject({ id: session, state: 'uploaded', statements: 1 });
  expect(listed?.['lostBytes']).toBeGreaterThan(0);
  expect((await run('list')).stdout).toMatch(/uploaded, lost \d+ B/);
  expect((await run('show', session)).stdout).toMatch(/^lost +\d+ B: /m);
}, 240_000);
