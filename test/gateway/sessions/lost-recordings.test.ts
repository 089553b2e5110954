/** Recordings that a gateway does not have (any more): what it says of them, and what clients do. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PATHS } from '../../../src/api/http.ts';
import { type GatewayBench, startGatewayBench } from '../gateway-bench.ts';
import { rawRequest } from '../raw-request.ts';
import { TestSession } from '../test-session.ts';

let bench: GatewayBench;
beforeAll(async () => {
  bench = await startGatewayBench({ isPolicyFixed: true });
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

/** A session that has ended, and where the gateway keeps its recording. */
async function endedSession(): Promise<{ readonly id: string; readonly directory: string }> {
  const session = await TestSession.open(bench, 'engineer');
  await session.close();
  const rec = join(bench.directory, 'data', 'rec');
  const day = readdirSync(rec).find((name) => readdirSync(join(rec, name)).includes(session.id));
  return { id: session.id, directory: join(rec, day ?? '', session.id) };
}

describe('a recording whose files are gone', () => {
  test.each([
    ['all of them', () => true, 'its directory'],
    ['its segments', (name: string) => name.endsWith('.hrs'), 'its segments'],
    ['its certificate', (name: string) => name === 'cert.dsse', 'its certificate'],
  ] as const)('is said to be that when %s are', async (_which, isGone, what) => {
    const { id, directory } = await endedSession();
    await bench.restart();
    for (const name of readdirSync(directory).filter(isGone)) {
      rmSync(join(directory, name), { recursive: true });
    }
    if (readdirSync(directory).length === 0) rmSync(directory, { recursive: true });
    const reply = await rawRequest(bench, { path: PATHS.bundle(id), as: 'auditor' });
    expect([reply.status, JSON.parse(reply.text).error]).toMatchObject([
      404,
      { code: 'HOOP_RECORDING_LOST', detail: expect.stringContaining(`no longer has ${what}`) },
    ]);
    const own = await rawRequest(bench, { path: PATHS.cuts(id), as: 'engineer' });
    expect(own.code).toBe('HOOP_RECORDING_LOST');
  });
});
