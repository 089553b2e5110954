import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runTrack } from '../../src/commands/sessions/sessions-terminal.ts';
import { openBundleFile } from '../../src/recording/bundle/open-bundle-file.ts';
import { readSession } from '../../src/recording/ended/read-session.ts';
import { castEvent, castHeader } from '../../src/recording/formats/asciicast.ts';
import { exec, RecordedSsh } from '../connectors/ssh/replay/recorded-ssh.ts';
import {
  columns,
  complete,
  error,
  notice,
  query,
  RecordedStream,
  ready,
  row,
} from '../replay/recorded-stream.ts';
import { type MadeRecording, makeRecording } from './made-recording.ts';
import { runSessions } from './run-command.ts';

/** What a hostile server or user might put in the way of an auditor's terminal. */
const HOSTILE = '\x1b]52;c;cm0gLXJmIH4=\x07\u202e\u009b31m';
const NO_HOME = { HOOP_HOME: '/nonexistent/hoop' };

function session() {
  const stream = new RecordedStream().start();
  const first = stream.upOffset;
  stream
    .up(query('select id, email from users'))
    .decision(first, { columnsMasked: ['public.users.email'], outputsMasked: [1] })
    .down(columns(['id', 23], ['email', 25]), row('1', 'a***'), row('2', HOSTILE))
    .down(complete('SELECT 2'), ready())
    .result(first, { rows: 2, maskedValues: 2, tag: 'SELECT 2' });
  const second = stream.upOffset;
  stream
    .up(query(`drop table users -- ${HOSTILE}`))
    .decision(second, {
      effect: 'refuse',
      code: 'HOOP_NOT_ALLOWED',
      message: 'drop is not allowed',
    })
    .down(error('42501', 'drop is not allowed', { hint: 'Ask.' }), ready());
  stream.up(query('do')).down(notice(HOSTILE), complete('DO'), ready());
  return stream.items;
}

let made: MadeRecording;
let oneSided: MadeRecording;
beforeAll(async () => {
  made = await makeRecording(session());
  oneSided = await makeRecording(session(), { twoSided: false });
});
afterAll(async () => {
  await made[Symbol.asyncDispose]();
  await oneSided[Symbol.asyncDispose]();
});

describe('hoop sessions verify FILE', () => {
  test('a recording that both sides signed is verified without a network', async () => {
    const result = await runSessions(['verify', made.bundle, '--trust', made.trust], {
      env: NO_HOME,
    });
    expect(result.stderr).toBe('');
    expect(result.status).toBe(0);
    expect(result.stdout).toContain(`session ${made.session}\n`);
    expect(result.stdout).toMatch(/✓ ok +chunks/);
    expect(result.stdout).toMatch(/\n✓ verified \(two-sided, not logged\)\n$/);
    expect(result.stdout).not.toMatch(/✓ ok +log/);
  });

  test('the keys of HOOP_HOME are used when no file is named', async () => {
    const result = await runSessions(['verify', made.bundle], {
      env: { HOOP_HOME: made.directory },
    });
    expect(result).toMatchObject({ status: 0, stderr: '' });
  });

  test('--json is one document with every check', async () => {
    const { stdout, status } = await runSessions(
      ['verify', made.bundle, '--trust', made.trust, '--json'],
      { env: NO_HOME },
    );
    expect(status).toBe(0);
    const document = JSON.parse(stdout);
    expect(document).toMatchObject({ v: 1, session: made.session, exitStatus: 0 });
    expect(document.checks.length).toBeGreaterThan(10);
  });

  test('without a trusted key it ends with 2 and says so', async () => {
    const result = await runSessions(['verify', made.bundle], { env: NO_HOME });
    expect(result.status).toBe(2);
    expect(result.stdout).toMatch(/\? untrusted/);
    expect(result.stderr).toMatch(/^hoop: error: no trusted key for recording /);
    expect(result.stderr).toMatch(/hoop: hint: .*--trust/);
  });

  test('a flipped byte ends with 1 and the check is named', async () => {
    const bytes = await readFile(made.bundle);
    const at = bytes.lastIndexOf('a***');
    bytes[at] = 0x62;
    const path = join(made.directory, 'flipped.tar');
    await writeFile(path, bytes);
    const result = await runSessions(['verify', path, '--trust', made.trust], { env: NO_HOME });
    expect(at).toBeGreaterThan(0);
    expect(result.status).toBe(1);
    expect(result.stdout).toMatch(/✗ FAILED +chunks +.*altered/);
    expect(result.stderr).toMatch(/hoop: error: recording ".*flipped\.tar" is not what was signed/);
    expect(result.stderr).toMatch(/hoop: detail: .*altered/);
  });

  test.each([
    ['noise', Buffer.alloc(4096, 7)],
    ['nothing', Buffer.alloc(0)],
    ['an archive of something else', execFileSync('tar', ['-c', 'package.json'])],
  ])(
    '%s is said to be no recording, which is not the same as an altered one',
    async (what, bytes) => {
      const path = join(made.directory, `${what}.tar`);
      await writeFile(path, bytes);
      for (const command of ['verify', 'replay']) {
        const result = await runSessions([command, path, '--trust', made.trust], { env: NO_HOME });
        expect(result).toMatchObject({ status: 2, stdout: '' });
        expect(result.stderr).toMatch(/hoop: error: file ".*" is not a recording/);
        expect(result.stderr).not.toMatch(/tampered|altered|signed/);
      }
      const asked = ['verify', path, '--trust', made.trust, '--json'];
      const json = await runSessions(asked, { env: NO_HOME });
      expect(json.stderr + json.stdout).toContain('HOOP_NOT_A_RECORDING');
    },
  );

  test.each([
    ['its first byte changed', 0],
    ['its first header gone', 512],
  ])('a recording with %s is an altered recording', async (what, from) => {
    const bytes = Buffer.from(await readFile(made.bundle));
    bytes.fill(0x2a, 0, Math.max(1, from));
    const path = join(made.directory, `${what}.tar`);
    await writeFile(path, bytes);
    const result = await runSessions(['verify', path, '--trust', made.trust], { env: NO_HOME });
    expect(result.status).toBe(1);
    expect(result.stdout).toMatch(/✗ FAILED +bundle/);
  });

  test('a one-sided recording ends with 2, unless that is accepted', async () => {
    const args = ['verify', oneSided.bundle, '--trust', oneSided.trust];
    const refused = await runSessions(args, { env: NO_HOME });
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain('cannot be fully verified');
    expect(refused.stderr).toMatch(/hint: .*--allow-one-sided/);
    const accepted = await runSessions([...args, '--allow-one-sided'], { env: NO_HOME });
    expect(accepted.status).toBe(0);
    expect(accepted.stdout).not.toMatch(/✓ verified \(two-sided/);
  });

  test('a file that is not there, a directory and a file without keys are wrong usage', async () => {
    const directory = await runSessions(['verify', '.'], { env: NO_HOME });
    expect(directory).toMatchObject({ status: 2, stdout: '' });
    expect(directory.stderr).toContain('"." is a directory, not a recording');
    const missing = await runSessions(['verify', './none.tar'], { env: NO_HOME });
    expect(missing).toMatchObject({ status: 2, stdout: '' });
    expect(missing.stderr).toContain('there is no file "./none.tar"');
    const neither = await runSessions(['replay', 'evidence'], { env: NO_HOME });
    expect(neither).toMatchObject({ status: 2, stdout: '' });
    expect(neither.stderr).toContain('there is no file "evidence", and it is not a session ID');
    const noKeys = await runSessions(['verify', made.bundle, '--trust', made.bundle], {
      env: NO_HOME,
    });
    expect(noKeys.status).toBe(2);
    expect(noKeys.stderr).toContain('holds no trusted keys');
  });
});

describe('hoop sessions download --out', () => {
  test.each([
    [
      'no/such/directory/file.tar',
      /cannot save to ".*file\.tar": no directory ".*no\/such\/directory"/,
    ],
    ['.', /cannot save to ".*": it is a directory/],
  ])('%s is wrong usage, and said before the gateway is asked', async (out, message) => {
    const cwd = made.directory;
    const result = await runSessions(['download', 'last', '--out', out], { env: NO_HOME, cwd });
    expect(result).toMatchObject({ status: 2, stdout: '' });
    expect(result.stderr).toMatch(message);
    expect(result.stderr).toContain('hoop: hint: ');
  });
});

describe('hoop sessions replay FILE', () => {
  const replay = (...more: string[]) =>
    runSessions(['replay', made.bundle, '--trust', made.trust, ...more], { env: NO_HOME });

  test('plain text shows statements, decisions, results and the verdict', async () => {
    const { stdout, stderr, status } = await replay();
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    expect(stdout).toMatch(/^✓ verified \(two-sided, not logged\)\n/);
    expect(stdout).toContain('eve@example.com');
    expect(stdout).toContain('TICKET-1');
    expect(stdout).toMatch(/#1 ✓ allowed on connection 1, 2 rows/);
    expect(stdout).toContain('email [masked]');
    expect(stdout).toContain('(2 rows, 2 masked)');
    expect(stdout).toMatch(/#2 ✗ denied on connection 1/);
    expect(stdout).toContain(
      'denied: HOOP_NOT_ALLOWED, by engineers/read (policies/engineers.yaml:12)',
    );
    expect(stdout).toContain('HINT:  Ask.');
    expect(stdout).toContain('closing: the client closed the session');
  });

  test('nothing that was recorded can act on the terminal', async () => {
    for (const options of [[], ['--json']]) {
      const { stdout } = await replay(...options);
      expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
    }
    expect((await replay()).stdout).toContain('⟪U+001B⟫]52;c;');
  });

  test('--json is NDJSON with a version in every line', async () => {
    const { stdout, status } = await replay('--json');
    const entries = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(status).toBe(0);
    expect(entries.every(({ v }) => v === 1)).toBe(true);
    expect(entries[0]).toMatchObject({
      type: 'recording',
      session: made.session,
      verdict: 'verified (two-sided, not logged)',
    });
    const statements = entries.filter(({ type }) => type === 'statement');
    expect(statements.map(({ outcome }) => outcome)).toEqual(['ok', 'denied', 'ok']);
    expect(statements[0].results[0].rows[1][1]).toBe(HOSTILE);
  });

  test('--raw gives the bytes of the server, and is refused on a terminal', async () => {
    const { stdout } = await replay('--raw');
    expect(stdout).toContain(HOSTILE);
    expect(stdout.startsWith('R')).toBe(true);
    const refused = await runSessions(['replay', made.bundle, '--raw'], {
      env: NO_HOME,
      tty: true,
    });
    expect(refused).toMatchObject({ status: 2, stdout: '' });
    expect(refused.stderr).toContain('--raw is refused on a terminal');
  });

  test('without a keyboard there is no viewer, also on a terminal', async () => {
    const result = await runSessions(['replay', made.bundle, '--trust', made.trust], {
      env: NO_HOME,
      tty: true,
    });
    expect(result.status).toBe(0);
    expect(result.stdout).toContain('#1 ✓ allowed');
  });

  test('without keys the replay says that it is not verified', async () => {
    const { stdout, status } = await runSessions(['replay', made.bundle], { env: NO_HOME });
    expect(status).toBe(0);
    expect(stdout).toMatch(/^\? /);
  });

  test('an altered recording is shown as such and ends with 1', async () => {
    const bytes = await readFile(made.bundle);
    bytes[bytes.lastIndexOf('a***')] = 0x62;
    const path = join(made.directory, 'altered.tar');
    await writeFile(path, bytes);
    const result = await runSessions(['replay', path, '--trust', made.trust], { env: NO_HOME });
    expect(result.status).toBe(1);
    expect(result.stdout).toMatch(/^✗ /);
    expect(result.stdout).toContain('b***');
    expect(result.stderr).toContain('was altered');
  });

  test('an interrupt ends a replay at speed', async () => {
    const result = await runSessions(['replay', made.bundle, '--speed', '1'], {
      env: NO_HOME,
      signal: AbortSignal.abort(new Error('interrupted')),
    });
    expect(result.status).toBe(1);
  });

  test('a wrong speed is wrong usage', async () => {
    await expect(replay('--speed', '0')).resolves.toMatchObject({ status: 2 });
  });
});

describe('without a login', () => {
  test.each([['list'], ['show', 'last'], ['replay', '0199c2f4'], ['download', 'last']])(
    '%s ends with 3',
    async (...args) => {
      const result = await runSessions(args, { env: NO_HOME });
      expect(result).toMatchObject({ status: 3, stdout: '' });
      expect(result.stderr).toMatch(/^hoop: error: not logged in/);
    },
  );
});

describe('hoop sessions replay of a server', () => {
  let server: MadeRecording;
  const replay = (...args: string[]) =>
    runSessions(['replay', server.bundle, '--trust', server.trust, ...args], { env: NO_HOME });
  beforeAll(async () => {
    const ssh = new RecordedSsh().hello().open(0).pty(0, 100, 40);
    ssh
      .request(0, { kind: 'shell' }, { verbs: ['shell'] })
      .output(0, '$ ')
      .wait(5000);
    ssh.input(0, 's3cret\r').output(0, `${HOSTILE}hi\r\n$ `).resize(0, 120, 50).close(0, 0);
    ssh.open(1).request(1, exec('uname -a'), { relations: ['uname'] });
    ssh.output(1, 'Linux\n').output(1, 'careful\n', 'stderr').close(1, 0).open(2);
    const denied = { effect: 'refuse', code: 'HOOP_NOT_ALLOWED', message: 'not rm' } as const;
    ssh.request(2, exec('rm -rf /'), denied, 'failure').close(2, 126);
    server = await makeRecording(ssh.items);
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  test('is verified, and the transcript has shells, commands, decisions, exits and outputs', async () => {
    const { stdout, stderr, status } = await replay();
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    expect(stdout).toMatch(/^✓ verified \(two-sided, not logged\)\n/);
    expect(stdout).toContain('connection 1 opened as deploy by OpenSSH_9.2p1');
    expect(stdout).toMatch(/#1 ✓ allowed on connection 1, exit 0, .* of output/);
    expect(stdout).toContain('    (shell)\n');
    expect(stdout).toContain('    terminal xterm-256color, 100×40\n');
    expect(stdout).toContain('    uname -a\n');
    expect(stdout).toContain('    │ Linux\n');
    expect(stdout).toMatch(/#3 ✗ denied[^\n]*\n {4}rm -rf \/\n {4}denied: HOOP_NOT_ALLOWED/);
    expect(stdout).not.toContain('s3cret');
    expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
  });

  test('one channel as text has its times, errors apart; what was typed only when asked for', async () => {
    const command = await replay('--channel', '2');
    expect(command.stdout).toMatch(
      /\n#2 uname -a\n +0:00\.000 {2}│ Linux\n +0:00\.000 {2}! careful\n$/,
    );
    const shell = await replay('--channel', '#1');
    expect(shell.stdout).toContain('terminal of 120×50');
    expect(shell.stdout).not.toContain('s3cret');
    expect((await replay('--channel', '1', '--input')).stdout).toContain('> s3cret');
    expect((await replay('--input')).stderr).toContain('option --input needs --channel');
  });

  test('what a terminal would act on is in the bytes, and in nothing that is shown', async () => {
    const raw = await replay('--channel', '1', '--raw');
    expect(raw.stdout).toContain('\x1b]52;c;cm0gLXJmIH4=\x07');
    const all = await replay('--raw');
    expect(all.stdout).toBe(`${raw.stdout}Linux\ncareful\n`);
    for (const form of [[], ['--asciicast'], ['--json']]) {
      const { stdout } = await replay('--channel', '1', ...form);
      expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
    }
    const cast = (await replay('--channel', '1', '--asciicast')).stdout.trimEnd().split('\n');
    expect(JSON.parse(cast[0] ?? '')).toMatchObject({ version: 2, width: 100, height: 40 });
    expect(cast.join()).not.toContain('52;c');
  });

  test('--json has acts as statements, and of one channel its pieces', async () => {
    const all = (await replay('--json')).stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const acts = all.filter(({ type }) => type === 'statement');
    expect(acts).toMatchObject([
      { number: 1, protocol: 'shell', channel: { exit: { status: 0 } } },
      { number: 2, protocol: 'exec', text: 'uname -a', channel: { output: 6, errors: 8 } },
      { number: 3, outcome: 'denied' },
    ]);
    const one = (await replay('--channel', '2', '--json')).stdout.trimEnd().split('\n');
    expect(one.map((line) => JSON.parse(line)).slice(2)).toMatchObject([
      { type: 'output', text: 'Linux\n' },
      { type: 'errors', text: 'careful\n' },
    ]);
  });

  test('without a number, or with one that is no channel, it says which there are', async () => {
    const several = await replay('--asciicast');
    expect(several).toMatchObject({ stdout: '', status: 2 });
    expect(several.stderr).toContain('Say which with --channel: 1 ((shell)), 2 (uname -a).');
    expect((await replay('--channel', '99')).stderr).toContain('#99 is not a channel');
    const none = await runSessions(['replay', made.bundle, '--trust', made.trust, '--asciicast'], {
      env: NO_HOME,
    });
    expect(none.stderr).toContain('no shell or command in this recording has output');
  });

  test('`why` says why a command was sent, and what came of it', async () => {
    const { stdout } = await runSessions(['why', server.bundle, '2', '--trust', server.trust], {
      env: NO_HOME,
    });
    expect(stdout).toContain('uname -a');
    expect(stdout).toMatch(/allowed: by deploy\/run/);
    expect(stdout).toContain('exit 0');
    const list = await runSessions(['why', server.bundle, '--trust', server.trust], {
      env: NO_HOME,
    });
    expect(list.stderr).toBe(`hoop: for one of them: \`hoop sessions why ${server.bundle} 1\`\n`);
  });
});

describe('hoop sessions replay --terminal', () => {
  const startedMs = Date.UTC(2026, 0, 1);
  let run: MadeRecording;
  beforeAll(async () => {
    const lines = Buffer.concat([
      castHeader({ columns: 90, rows: 30, startedMs }),
      castEvent(500, 'o', `shown${HOSTILE}\r\n`),
      castEvent(700, 'r', '100x40'),
    ]);
    const piece = { timeMs: startedMs, stream: 1, direction: 0, offset: 0, bytes: lines } as const;
    run = await makeRecording([
      {
        type: 'event',
        timeMs: startedMs,
        event: { type: 'stream.open', stream: 1, kind: 'terminal' },
      },
      { type: 'data', piece },
    ]);
  });
  afterAll(async () => {
    await run[Symbol.asyncDispose]();
  });

  test('the file for other players has nothing that would act on a terminal', async () => {
    const { stdout, status } = await runSessions(
      ['replay', run.bundle, '--trust', run.trust, '--terminal', '--asciicast'],
      { env: NO_HOME },
    );
    expect(status).toBe(0);
    const [header = '', ...events] = stdout.trimEnd().split('\n');
    expect(JSON.parse(header)).toMatchObject({ version: 2, width: 90, height: 30 });
    expect(events.map((line) => JSON.parse(line))).toEqual([
      [0.5, 'o', expect.stringMatching(/^shown[^\x1b\u009b]*\r\n$/)],
      [0.7, 'r', '100x40'],
    ]);
    expect(stdout).not.toContain('52;c');
  });

  test('the player has its sizes and what was shown, in the time of the client', () => {
    using source = openBundleFile(run.bundle);
    const track = runTrack(readSession(source));
    const items = [...(track?.items() ?? [])];
    expect(items).toMatchObject([
      { type: 'size', timeMs: startedMs, columns: 90, rows: 30 },
      { type: 'output', timeMs: startedMs + 500 },
      { type: 'size', timeMs: startedMs + 700, columns: 100, rows: 40 },
    ]);
    using other = openBundleFile(made.bundle);
    expect(runTrack(readSession(other))).toBeUndefined();
  });
});
