/** Recordings that a gateway does not have (any more): what it says of them, and what clients do. */
import { readdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EVENTS_PATH, EventsReply } from '../../../src/api/events.ts';
import { PATHS } from '../../../src/api/http.ts';
import { runSessions } from '../../cli/run-command.ts';
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

describe('a recording that was moved away while the gateway runs', () => {
  let id = '';
  let directory = '';
  const sessions = (...args: string[]) =>
    runSessions(args, { env: bench.environment('auditor'), cwd: bench.directory });
  beforeAll(async () => {
    ({ id, directory } = await endedSession());
    // The gateway has read it, and keeps it open for the next request.
    await rawRequest(bench, { path: PATHS.bundle(id), as: 'auditor' });
    renameSync(directory, join(bench.directory, 'elsewhere'));
  });

  test.each([
    ['verify', ['verify']],
    ['download', ['download', '--out', 's.tar']],
    ['replay', ['replay']],
    ['why', ['why']],
  ])('is lost for %s, which names no bug and leaves no event of a reading', async (_name, args) => {
    const before = await readings();
    const [command = '', ...flags] = args;
    const result = await sessions(command, id, ...flags);
    expect(result.stderr).toContain('hoop: error: the files of this recording are gone');
    expect(result.stderr).toContain('The gateway no longer has its directory');
    expect(result.stderr).not.toContain('bug');
    expect(result.status).toBe(1);
    expect(await readings()).toBe(before);
  });

  test('is lost in list and show', async () => {
    const list = await sessions('list');
    expect(list.stdout.split('\n').find((line) => line.startsWith(id))).toMatch(/ lost/);
    const shown = await sessions('show', id);
    expect(shown.stdout).toMatch(/recording +lost: the gateway no longer has its files/);
    const { recording } = JSON.parse((await sessions('show', id, '--json')).stdout).session;
    expect(recording).toBe('lost');
  });

  test('is named by a search, which does not end as if it had searched all', async () => {
    const found = await sessions('search', 'no such thing');
    expect(found.stderr).toContain(`session ${id}: not searched: its recording is lost`);
    expect(found.stderr).toMatch(/\d sessions could not be searched to the end/);
    expect(found.status).toBe(1);
    const json = await sessions('search', 'no such thing', '--json');
    expect(JSON.parse(json.stdout).unread).toContainEqual({ session: id, why: 'gone' });
    expect(json.stderr).toContain('HOOP_SEARCH_INCOMPLETE');
    expect(json.status).toBe(1);
  });

  test('is read again once it is back', async () => {
    renameSync(join(bench.directory, 'elsewhere'), directory);
    expect((await rawRequest(bench, { path: PATHS.bundle(id), as: 'auditor' })).status).toBe(200);
    expect((await sessions('list')).stdout).not.toMatch(new RegExp(`${id}.* lost`));
  });
});

test('a download that breaks off is named by the client and logged without a stack', async () => {
  const { id, directory } = await endedSession();
  const request = { path: PATHS.bundle(id), as: 'auditor' };
  expect((await rawRequest(bench, request)).status).toBe(200);
  truncateSync(join(directory, 'seg-00000001.hrs'), 100);
  const result = await runSessions(['download', id, '--out', 'broken.tar'], {
    env: bench.environment('auditor'),
    cwd: bench.directory,
  });
  expect(result.stderr).toMatch(/^hoop: error: gateway "\S+" broke off the download$/m);
  expect(result.status).toBe(5);
  expect(bench.log.events.filter(({ event }) => event === 'bundle.broken_off')).toMatchObject([
    { level: 'error', session: id, message: expect.stringContaining('segment') },
  ]);
});

test('a file from `hoop sessions trust` verifies a recording without a login', async () => {
  const { id } = await endedSession();
  const cwd = bench.directory;
  const env = bench.environment('auditor');
  await runSessions(['download', id, '--out', 'trusted.tar'], { env, cwd });
  const trust = await runSessions(['trust'], { env, cwd });
  expect(trust.stderr).toMatch(/root key SHA256:/);
  expect(trust.stdout).not.toContain('policyRepository');
  writeFileSync(join(cwd, 'exported.json'), trust.stdout);
  const nobody = { env: { HOOP_HOME: join(cwd, 'homes', 'nobody') }, cwd };
  const without = await runSessions(['verify', 'trusted.tar'], nobody);
  expect(without.stderr).toContain('`hoop sessions trust`');
  const args = ['verify', 'trusted.tar', '--trust', 'exported.json', '--allow-one-sided'];
  const verified = await runSessions(args, nobody);
  expect(verified.stdout).toMatch(/ok +trust/);
  expect(verified.status).toBe(0);
});

async function readings(): Promise<number> {
  const auditor = await bench.client('auditor');
  const path = `${EVENTS_PATH}?type=recording.read`;
  const { events } = await auditor.json(EventsReply, { method: 'GET', path }, bench.signal);
  return events.length;
}
