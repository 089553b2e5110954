import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { childEnvironment, runHoop } from '../../src/demo/hoop-process.ts';
import { runSessions } from '../cli/run-command.ts';
import { type Bench, openBench } from './demo-bench.ts';

let bench: Bench;
/** A session that most of these are about, and its recording. */
let id: string;
let file: string;
beforeAll(async () => {
  bench = await openBench();
  id = await recordedSession();
  file = await download(id, 'session.hoop');
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

async function recordedSession(): Promise<string> {
  await bench.psql(
    'engineer',
    "SELECT 'marker-' || 17 AS m, * FROM orders ORDER BY id",
    'TRUNCATE orders',
  );
  const [newest] = await bench.sessions('engineer');
  return String(newest?.['id']);
}

async function download(session: string, name: string): Promise<string> {
  const path = join(bench.demo.directory, name);
  const run = await bench.hoop('engineer', 'sessions', 'download', session, '--out', path);
  expect(run.stderr + run.stdout).not.toContain('error');
  expect(run.exitCode).toBe(0);
  return path;
}

/** `sessions verify` with an unreachable gateway: only the file and the pinned keys count. */
function verifyOffline(path: string): ReturnType<typeof runHoop> {
  return runHoop(['sessions', 'verify', path], {
    home: bench.home('engineer'),
    variables: { HOOP_GATEWAY: 'https://127.0.0.1:9' },
  });
}

describe('evidence', () => {
  test('a session is recorded, signed by both sides, uploaded, countersigned and verified offline', async () => {
    const [session] = await bench.sessions('engineer');
    expect(session).toMatchObject({ id, state: 'uploaded', target: 'prod-db', denied: 1 });
    const run = await verifyOffline(file);
    expect(run.stdout).toContain('verified (two-sided, not logged)');
    expect(run.exitCode).toBe(0);
  });

  test('the replay shows statements, decisions and results', async () => {
    const run = await bench.hoop('engineer', 'sessions', 'replay', id);
    expect(run.stdout).toContain('marker-17');
    expect(run.stdout).toContain('TRUNCATE orders');
    expect(run.stdout).toContain('42501');
  });

  test('only what the policy refused counts as denied: in the list, in show, in notes and in the replay', async () => {
    const wrong = ['SELEC 1', 'SELECT nope FROM orders', 'SELECT * FROM nowhere', 'SELECT 1/0'];
    const commands = [...wrong, 'TRUNCATE orders'].flatMap((text) => ['-c', text]);
    // Of a program that is not known to show what the server says.
    const program = ['env', 'psql', '-X', ...commands];
    const run = await bench.hoop('engineer', 'connect', 'prod-db', '--', ...program);
    expect(run.stderr.match(/hoop: denied: .*/g)).toEqual([
      expect.stringContaining('denied: TRUNCATE'),
    ]);
    const [session] = await bench.sessions('engineer');
    expect(session).toMatchObject({ statements: 5, denied: 1 });
    const other = String(session?.['id']);
    const env = { HOOP_HOME: bench.home('engineer') };
    const shown = await runSessions(['show', other], { env });
    expect(shown.stdout).toContain('5, 1 denied');
    const replay = await runSessions(['replay', other, '--json'], { env });
    const entries: Record<string, unknown>[] = replay.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const outcomes = entries
      .filter(({ type }) => type === 'statement')
      .map(({ text, outcome }) => [text, outcome]);
    expect(outcomes).toEqual([
      ...wrong.map((text) => [text, 'failed']),
      ['TRUNCATE orders', 'denied'],
    ]);
    // What both sides signed on stream 0 says the same.
    expect(entries.filter(({ kind }) => kind === 'denied')).toHaveLength(1);
    const transcript = await runSessions(['replay', other], { env });
    expect(transcript.stdout.match(/^\s*denied: /gm)).toHaveLength(1);
    expect(transcript.stdout).toMatch(/^\s*failed: HOOP_UNPARSED/m);
  });

  test('what psql says of a refusal is not said again', async () => {
    const run = await bench.psql('engineer', 'TRUNCATE orders');
    expect(run.stderr.match(/TRUNCATE on public\.orders/g)).toHaveLength(1);
    expect(run.stderr).toContain('ERROR:');
  });

  test('an auditor may read the session, a colleague may not', async () => {
    expect((await bench.hoop('auditor', 'sessions', 'show', id)).exitCode).toBe(0);
    const other = await bench.hoop('devin', 'sessions', 'show', id);
    expect(other.exitCode).not.toBe(0);
  });

  test('a flipped byte anywhere in the file is found', async () => {
    const original = readFileSync(file);
    // In this process: to start another for each place would be nearly all of the work.
    const env = { HOOP_HOME: bench.home('engineer'), HOOP_GATEWAY: 'https://127.0.0.1:9' };
    expect(await runSessions(['verify', file], { env })).toMatchObject({ status: 0 });
    // A spread of places, headers and contents alike; the padding of tar members is content too.
    for (let place = 0; place < original.length; place += Math.ceil(original.length / 40)) {
      const changed = Buffer.from(original);
      changed[place] = (changed[place] ?? 0) ^ 0x20;
      const path = `${file}.${place}`;
      writeFileSync(path, changed);
      const run = await runSessions(['verify', path], { env });
      expect({ place, status: run.status }).not.toEqual({ place, status: 0 });
      expect(run.stdout).not.toMatch(/^verified/m);
    }
  });

  test('a cut tail is found', async () => {
    const bytes = readFileSync(file);
    const cut = join(bench.demo.directory, 'tail.hoop');
    writeFileSync(cut, bytes.subarray(0, Math.floor(bytes.length / 2)));
    const run = await verifyOffline(cut);
    expect(run.exitCode).not.toBe(0);
  });

  test('after kill -9 of the gateway in a large SELECT, all that psql printed is in the recording', async () => {
    const child = spawn(
      process.execPath,
      [
        'bin/hoop.js',
        'connect',
        'prod-db',
        '--',
        'psql',
        '-X',
        '-A',
        '-t',
        '-v',
        'FETCH_COUNT=50',
        '-c',
        "SELECT 'row-' || g || '-' || repeat('x', 200) FROM generate_series(1, 2000000) g",
      ],
      {
        env: childEnvironment({ home: bench.home('engineer') }),
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    let printed = '';
    let killed = false;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
      if (printed.length > 1_000_000 && !killed) {
        killed = true;
        bench.demo.gatewayProcess().kill('SIGKILL');
      }
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    await once(child, 'close');
    expect(killed).toBe(true);
    // Whoever ran it knows that the recording is not delivered yet, and what becomes of it.
    expect(said).toMatch(/the recording of session \S+ is not signed by both sides yet/);
    expect(said).toContain('Its journal is kept in');
    await bench.demo.restartGateway();
    const [session] = await bench.sessions('engineer');
    expect(session?.['endReason']).toBe('gateway_crash');
    // The client's half was not uploaded: the gateway was gone. The next session sends it.
    const next = await bench.psql('engineer', 'SELECT 1');
    expect(next.stderr).toContain('is now signed by both sides');
    const crashed = await download(String(session?.['id']), 'crash.hoop');
    expect((await verifyOffline(crashed)).stdout).toContain('two-sided');
    const recording = readFileSync(crashed, 'latin1');
    const last = printed
      .split('\n')
      .filter((line) => /^row-\d+-x{200}$/.test(line))
      .at(-1);
    expect(last).toBeDefined();
    expect(recording).toContain(last);
  });

  test('kill -9 of the client leaves a recording that verifies to the last cut and says so', async () => {
    const connection = await bench.connect('engineer');
    const psql = spawn('psql', ['-X', '-c', 'SELECT count(*) FROM orders', connection.url], {
      stdio: 'ignore',
    });
    await once(psql, 'close');
    const runtime = join(bench.home('engineer'), 'run');
    expect(readdirSync(runtime)).toHaveLength(1);
    connection.service.kill('SIGKILL');
    await connection.service.exited;
    await expect
      .poll(async () => (await bench.sessions('engineer'))[0]?.['endReason'])
      .toBe('client_lost');
    const run = await verifyOffline(await download(connection.session, 'lost.hoop'));
    expect(run.exitCode).toBe(2);
    expect(run.stdout).toMatch(/two-sided up to cut \d+, then gateway only|one-sided/);
    // Its password file and socket went with the next command, which was none of its own.
    expect(readdirSync(runtime)).toEqual([]);
  });
});
