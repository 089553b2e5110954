/** What a program inside a run leaves in the run's directories is read by hoop outside of a fence. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { tokenLockPath } from '../../src/auth/stored-tokens.ts';
import { abandonedRunStates, adoptRunState, makeRunState } from '../../src/client/run-states.ts';
import { isBelow } from '../../src/run/fence/is-below.ts';
import { newSessionId } from '../../src/session-id.ts';
import { waitFor } from '../wait-for.ts';

const LOCK = fileURLToPath(new URL('../../src/held-lock.ts', import.meta.url));

let directory: string;
/** Of the person. */
let home: { readonly state: string };
/** Writable for the child. */
let run: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-states-'));
  home = { state: join(directory, 'state') };
  run = makeRunState(home, 'outer');
});
afterEach(() => rmSync(directory, { recursive: true }));

function newId(): string {
  return newSessionId(Date.now(), crypto.getRandomValues(new Uint8Array(16)));
}

/** @returns the id of the recording that is put there */
function recordingIn(sessions: string): string {
  const session = newId();
  mkdirSync(join(sessions, session), { recursive: true });
  writeFileSync(join(sessions, session, 'seg-1.hrs'), 'recorded');
  return session;
}

test('recordings of the run and of runs inside it are taken over, and nothing else is left', async () => {
  const own = recordingIn(join(run, 'sessions'));
  const inner = recordingIn(join(run, 'runs', 'inner', 'sessions'));
  writeFileSync(join(run, 'tokens.json'), 'a login');
  expect(new Set(await adoptRunState(home, run))).toEqual(new Set([own, inner]));
  expect(readdirSync(join(home.state, 'sessions')).sort()).toEqual([own, inner].sort());
  expect(existsSync(run)).toBe(false);
});

test('a link in place of a directory leads nowhere: what it names keeps its login and its files', async () => {
  const victim = join(directory, 'victim');
  const files = ['tokens.json', 'config.json', 'trust.json'];
  mkdirSync(victim);
  for (const name of files) {
    writeFileSync(join(victim, name), 'of the person');
  }
  const theirs = recordingIn(join(victim, 'sessions'));
  mkdirSync(join(run, 'runs'));
  symlinkSync(victim, join(run, 'runs', 'link'));
  symlinkSync('..', join(run, 'runs', 'loop'));
  symlinkSync(join(victim, 'sessions'), join(run, 'sessions'));
  expect(await adoptRunState(home, run)).toEqual([]);
  expect(readdirSync(victim).sort()).toEqual([...files, 'sessions'].sort());
  expect(readdirSync(join(victim, 'sessions'))).toEqual([theirs]);
  expect(existsSync(run)).toBe(false);
});

test('what is no recording is not taken over: links, and pipes that would be waited for', async () => {
  const sessions = join(run, 'sessions');
  const good = recordingIn(sessions);
  symlinkSync(directory, join(sessions, newId()));
  symlinkSync('/etc/passwd', join(sessions, recordingIn(sessions), 'seg-2.hrs'));
  spawnSync('mkfifo', [join(sessions, recordingIn(sessions), 'owner')]);
  // Under the name of one that is there already.
  const taken = recordingIn(sessions);
  mkdirSync(join(home.state, 'sessions', taken), { recursive: true });
  expect(await adoptRunState(home, run)).toEqual([good]);
  expect(readdirSync(join(home.state, 'sessions')).sort()).toEqual([good, taken].sort());
  expect(readdirSync(join(home.state, 'sessions', taken))).toEqual([]);
  expect(existsSync(run)).toBe(false);
});

test('what lies in the directory of a run says neither whose it is nor where its lock is', async () => {
  writeFileSync(join(run, 'owner'), '0');
  expect(await abandonedRunStates(home)).toEqual([]);
  const lock = tokenLockPath({ config: run, state: run, runtime: run, run: 'outer' });
  expect(isBelow(lock, run)).toBe(false);
  writeFileSync(lock, '');
  await adoptRunState(home, run);
  expect(existsSync(join(home.state, 'runs'))).toBe(false);
});

test('a run belongs to whoever holds its lock, also where no process has its number', async () => {
  const hold = `import { holdLock } from ${JSON.stringify(LOCK)};
    globalThis.held = holdLock(${JSON.stringify(join(home.state, 'runs', 'other.owner'))});
    console.log('held'); setInterval(() => {}, 1000);`;
  mkdirSync(join(home.state, 'runs', 'other'), { recursive: true });
  expect(await abandonedRunStates(home)).toEqual([join(home.state, 'runs', 'other')]);
  const words = ['--unshare-pid', '--dev-bind', '/', '/', '--die-with-parent', process.execPath];
  const other = spawn('bwrap', [...words, '--input-type=module', '-e', hold], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(other.stdout, 'data');
  expect(await abandonedRunStates(home)).toEqual([]);
  other.kill('SIGKILL');
  await once(other, 'exit');
  await waitFor(async () => {
    expect(await abandonedRunStates(home)).toEqual([join(home.state, 'runs', 'other')]);
  });
});

test('a run whose owner file is no file counts as abandoned, and a link is no run', async () => {
  rmSync(`${run}.owner`);
  spawnSync('mkfifo', [`${run}.owner`]);
  symlinkSync(directory, join(home.state, 'runs', 'link'));
  expect(await abandonedRunStates(home)).toEqual([run]);
  expect(lstatSync(join(home.state, 'runs', 'link')).isSymbolicLink()).toBe(true);
});
