/** The other forms of `hoop demo`: on a terminal, on data that is kept, on other parts, as others. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runHoop } from '../../src/demo/hoop-process.ts';
import { TOUR } from '../../src/demo/tour.ts';
import { startTestPostgres } from '../postgres-template.ts';
import { processesOf } from './processes-of.ts';

const LAUNCHER = resolve('bin/hoop.js');
const IS_ROOT = process.getuid?.() === 0;
/** nobody: any user but root. */
const ORDINARY = IS_ROOT ? { uid: 65_534, gid: 65_534 } : undefined;

let directory: string;
/** What the demo leaves behind would be here. */
let temporary: string;
const started: Started[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-forms-'));
  temporary = join(directory, 'tmp');
  mkdirSync(temporary);
  mkdirSync(join(directory, 'home'));
  // As root the server runs as nobody, who must be able to pass through.
  chmodSync(directory, 0o711);
  chmodSync(temporary, 0o711);
});
afterEach(async () => {
  // Where a test has failed its demo is still up.
  for (const { child, closed } of started.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await closed;
    }
  }
  rmSync(directory, { recursive: true, force: true });
});

const environment = (): NodeJS.ProcessEnv => ({
  ...process.env,
  ...{ TMPDIR: temporary, HOME: join(directory, 'home'), XDG_CACHE_HOME: '' },
});

/** For a demo that is not started as root. */
function giveAway(): void {
  if (ORDINARY === undefined) return;
  for (const own of [directory, temporary, join(directory, 'home')]) {
    chownSync(own, ORDINARY.uid, ORDINARY.gid);
  }
}

interface Started {
  readonly child: ChildProcess;
  /** stdout and stderr. */
  readonly output: () => string;
  readonly closed: Promise<unknown[]>;
}

function startDemo(args: readonly string[], as?: typeof ORDINARY): Started {
  const child = spawn(process.execPath, [LAUNCHER, 'demo', ...args], {
    cwd: directory,
    env: environment(),
    stdio: ['ignore', 'pipe', 'pipe'],
    ...as,
  });
  return follow(child);
}

function follow(child: ChildProcess): Started {
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (data) => {
      output += String(data);
    });
  }
  const demo = { child, output: () => output, closed: once(child, 'close') };
  started.push(demo);
  return demo;
}

async function wholeTour(args: readonly string[], as?: typeof ORDINARY) {
  const demo = startDemo(['--check', ...args], as);
  const [code] = await demo.closed;
  expect(demo.output()).toContain('Every step succeeded.');
  expect(code).toBe(0);
  expect(readdirSync(temporary)).toEqual([]);
  expect(processesOf(directory)).toEqual([]);
}

describe('on a terminal', () => {
  /** A pseudo-terminal of util-linux: what is written to its stdin is typed. */
  function startOnTerminal(
    args: readonly string[],
    as?: typeof ORDINARY,
  ): Started & { readonly type: (text: string) => void } {
    const hoop = [process.execPath, LAUNCHER, 'demo', ...args].join(' ');
    const command = `stty rows 24 cols 80; exec ${hoop}`;
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      cwd: directory,
      env: { ...environment(), TERM: 'xterm-256color', NO_COLOR: '' },
      stdio: ['pipe', 'pipe', 'pipe'],
      ...as,
    });
    return { ...follow(child), type: (text) => child.stdin?.write(text) };
  }
  const asked = (screen: string): number =>
    screen.split(/Enter: (?:continue|more|what to try)/).length - 1;
  const prompts = (screen: string): number => screen.split('Enter: continue').length - 1;

  // A tour is 17 s of processor time, so the first on data that is kept is that of the terminal.
  test('Enter leads through every step, a screen at a time; Ctrl-C at the end leaves what --data keeps, on which the tour is true a second time', async () => {
    const demo = startOnTerminal(['--data', './kept']);
    const isOver = (): boolean => demo.output().includes('take effect within 5 seconds');
    for (let answered = 0; !isOver(); answered += 1) {
      await expect.poll(() => isOver() || asked(demo.output()) > answered).toBe(true);
      demo.type(isOver() ? '' : '\r');
    }
    const screen = demo.output();
    // What is written between two questions fits on the screen with them, and so does the end.
    const texts = screen
      .slice(screen.indexOf(`1/${TOUR.length}`))
      .split(/Enter: (?:continue|more|what to try)[^\n]*\n/);
    expect(texts.length).toBeGreaterThan(TOUR.length);
    for (const text of texts) {
      expect(text.split('\n').length).toBeLessThanOrEqual(24);
    }
    expect(screen).toContain('Every step succeeded.');
    expect(screen).toContain('\x1b[1m');
    expect(prompts(screen)).toBe(TOUR.length - 1);
    const home = /export HOOP_HOME=(\S+engineer)/.exec(screen)?.[1];
    expect(existsSync(home ?? '')).toBe(true);
    demo.type('\x03');
    const [code] = await demo.closed;
    expect(code).toBe(130);
    expect(readdirSync(temporary)).toEqual([]);
    expect(readdirSync(join(directory, 'kept'))).toContain('gateway');
    await wholeTour(['--data', './kept']);
  });

  test('q ends the tour and what was started stays; Ctrl-C in the middle of it ends all; for an ordinary user', async () => {
    giveAway();
    const demo = startOnTerminal([], ORDINARY);
    // Typed while nothing is asked: it answers nothing.
    await expect.poll(() => demo.output()).toContain(`1/${TOUR.length}`);
    demo.type('\r');
    await expect.poll(() => prompts(demo.output())).toBe(1);
    demo.type('q\r');
    await expect.poll(() => demo.output()).toContain(`Ended after step 1 of ${TOUR.length}.`);
    await expect.poll(() => demo.output()).toContain('Everything keeps running until Ctrl-C');
    demo.type('\x03');
    expect((await demo.closed)[0]).toBe(130);
    const other = startOnTerminal([], ORDINARY);
    // Past the third step, in which a client reads from the demo's own database.
    for (let answered = 0; prompts(other.output()) < 3; answered += 1) {
      other.type(answered === 0 ? '' : '\r');
      await expect.poll(() => asked(other.output())).toBeGreaterThan(answered);
    }
    other.type('\x03');
    expect(other.output().match(/as expected/g)).toHaveLength(3);
    expect((await other.closed)[0]).toBe(130);
    expect(readdirSync(temporary)).toEqual([]);
  });
});

test('--policy takes another policy, and --json says which targets it has', async () => {
  const policy = join(directory, 'policy');
  const files = {
    'hoop.yaml': 'version: 1\norg: own\nidentityProviders: []\n',
    'targets/shop.yaml':
      'name: shop\nkind: postgres\ndatabase: shop\ncredential: shop\nrecording: full\n',
    'policies/all.yaml':
      'name: all\nwho: { groups: [engineering] }\ntargets: { names: [shop] }\nrules:\n  - name: read\n    allow: { verbs: [select], relations: [public.orders] }\n',
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(policy, path, '..'), { recursive: true });
    writeFileSync(join(policy, path), text);
  }
  const demo = startDemo(['--json', '--policy', './policy']);
  const { stdout } = demo.child;
  if (stdout === null) {
    throw new Error('its output is a pipe');
  }
  const [line] = await once(createInterface({ input: stdout }), 'line');
  const ready = JSON.parse(line);
  expect(Object.keys(ready.targets)).toEqual(['shop']);
  const home = ready.homes.engineer;
  const psql = (sql: string) => runHoop(['connect', 'shop', '--', 'psql', '-XAtc', sql], { home });
  expect(await psql('SELECT count(*) > 0 FROM orders')).toMatchObject({
    exitCode: 0,
    stdout: 't\n',
  });
  expect((await psql('SELECT 1 FROM customers')).stderr).toContain(
    'HINT:  Allowed here: select on public.orders.',
  );
  const admin = new pg.Client({ connectionString: ready.targets.shop.adminUrl });
  await admin.connect();
  await admin.end();
  demo.child.kill('SIGTERM');
  await demo.closed;
  expect(readdirSync(temporary)).toEqual([]);
  expect(processesOf(directory)).toEqual([]);
});

// Of whoever runs the suite the tour is in tools/check-package.ts, as the package brings it.
test('--check runs the whole tour for an ordinary user, on another server as its superuser, ends with 0 and leaves nothing behind', async () => {
  await using server = await startTestPostgres();
  giveAway();
  await wholeTour(['--postgres', server.url()], ORDINARY);
});
