import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { beforeRun } from '../../../src/run/later/later-changes.ts';
import { EarlierChanges, RunChanges } from '../../../src/run/later/owed-changes.ts';
import type { Watch } from '../../../src/run/later/watched-files.ts';
import { waitFor } from '../../wait-for.ts';

const LOCK = fileURLToPath(new URL('../../../src/held-lock.ts', import.meta.url));

let root: string;
let project: string;
let home: { readonly state: string };
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'hoop-owed-')));
  project = join(root, 'project');
  home = { state: join(root, 'state') };
  mkdirSync(join(project, 'sub'), { recursive: true });
  writeFileSync(join(project, 'CLAUDE.md'), 'first');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function begin(run: string): RunChanges {
  return RunChanges.begin(home, run, project, watched());
}

function watched(): Watch {
  return {
    places: [project],
    projects: [project],
    repositories: [],
    gitSettings: [],
    gitValues: [],
    paths: [],
    patterns: [],
    kept: [],
  };
}

/** As a hoop that was killed leaves it: the kernel lets go of its lock. */
function killed(run: string): void {
  const copy = join(home.state, 'changes', `${run}.copy`);
  copyFileSync(join(home.state, 'changes', `${run}.lock`), copy);
  renameSync(copy, join(home.state, 'changes', `${run}.lock`));
}

const paths = ({ changes }: EarlierChanges) => changes.map(({ path }) => path);

test('a run that changes nothing leaves nothing', () => {
  const run = begin('one');
  expect(readdirSync(join(home.state, 'changes'))).toEqual(['one.json', 'one.lock']);
  run.settle(run.after());
  expect(readdirSync(join(home.state, 'changes'))).toEqual([]);
});

test('what a killed run has changed is owed to the next one in the directory, below it and above it', () => {
  begin('one');
  writeFileSync(join(project, 'CLAUDE.md'), 'evil');
  killed('one');
  for (const cwd of [project, join(project, 'sub'), root]) {
    const earlier = EarlierChanges.in(home, cwd);
    expect(paths(earlier)).toEqual([join(project, 'CLAUDE.md')]);
    expect(earlier.wasKilled).toBe(true);
  }
  expect(paths(EarlierChanges.in(home, join(root, 'projector')))).toEqual([]);
});

test('of a killed run what was not looked at is said, too', () => {
  begin('one');
  mkdirSync(join(project, '.claude'));
  for (let n = 0; n < 5001; n += 1) writeFileSync(join(project, '.claude', `${n}`), '');
  killed('one');
  expect(EarlierChanges.in(home, project).notLookedAt).toEqual([join(project, '.claude')]);
});

test('a run that goes on owes nothing yet', () => {
  begin('one');
  writeFileSync(join(project, 'CLAUDE.md'), 'evil');
  expect(paths(EarlierChanges.in(home, project))).toEqual([]);
});

test('a run of another namespace of processes goes on, whatever its number is here', async () => {
  const hold = `import { holdLock } from ${JSON.stringify(LOCK)};
    globalThis.held = holdLock(${JSON.stringify(join(home.state, 'changes', 'one.lock'))});
    console.log('held'); setInterval(() => {}, 1000);`;
  begin('one').settle({ changes: [], notLookedAt: [join(project, 'sub')] });
  const file = join(home.state, 'changes', 'one.json');
  const { root, v } = JSON.parse(readFileSync(file, 'utf8'));
  const before = beforeRun(watched());
  writeFileSync(file, JSON.stringify({ v, root, before }));
  writeFileSync(join(project, 'CLAUDE.md'), 'evil');
  const words = ['--unshare-pid', '--dev-bind', '/', '/', '--die-with-parent', process.execPath];
  const other = spawn('bwrap', [...words, '--input-type=module', '-e', hold], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(other.stdout, 'data');
  expect(paths(EarlierChanges.in(home, project))).toEqual([]);
  const exit = once(other, 'exit');
  other.kill('SIGKILL');
  await exit;
  await waitFor(() => {
    expect(paths(EarlierChanges.in(home, project))).toEqual([join(project, 'CLAUDE.md')]);
  });
});

test('what was not looked at is owed as long as it is there', () => {
  const owed = begin('one');
  owed.settle({ changes: [], notLookedAt: [join(project, 'sub'), join(project, 'gone')] });
  const earlier = EarlierChanges.in(home, project);
  expect(earlier.notLookedAt).toEqual([join(project, 'sub')]);
  const next = begin('two');
  next.settle({ changes: [], notLookedAt: [join(root, 'project')] });
  expect(EarlierChanges.in(home, project).notLookedAt).toEqual([join(project, 'sub'), project]);
  EarlierChanges.in(home, project).settle({ changes: [], notLookedAt: [] });
  expect(readdirSync(join(home.state, 'changes'))).toEqual([]);
});

test('what nobody was asked about waits, with what stood there before the first of several runs', () => {
  for (const [run, text] of [
    ['one', 'second'],
    ['two', 'third'],
  ] as const) {
    const owed = begin(run);
    writeFileSync(join(project, 'CLAUDE.md'), text);
    owed.settle(owed.after());
  }
  expect(readdirSync(join(home.state, 'changes'))).toEqual(['two.json']);
  const earlier = EarlierChanges.in(home, project);
  const [change] = earlier.changes;
  expect(change?.before).toMatchObject({ content: Buffer.from('first').toString('base64') });
  expect(change?.after).toMatchObject({ content: Buffer.from('third').toString('base64') });
  earlier.settle({ changes: [], notLookedAt: [] });
  expect(readdirSync(join(home.state, 'changes'))).toEqual([]);
});

test('what the person has put back by hand is not asked about', () => {
  const owed = begin('one');
  writeFileSync(join(project, 'CLAUDE.md'), 'evil');
  owed.settle(owed.after());
  writeFileSync(join(project, 'CLAUDE.md'), 'first');
  expect(paths(EarlierChanges.in(home, project))).toEqual([]);
});

test('a damaged file asks for nothing, and stays', () => {
  mkdirSync(join(home.state, 'changes'), { recursive: true });
  const file = join(home.state, 'changes', 'x.json');
  writeFileSync(file, '{');
  EarlierChanges.in(home, project).settle({ changes: [], notLookedAt: [] });
  expect(existsSync(file)).toBe(true);
});
