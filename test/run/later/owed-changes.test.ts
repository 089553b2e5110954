import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EarlierChanges, RunChanges } from '../../../src/run/later/owed-changes.ts';

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
  return RunChanges.begin(home, run, project, {
    places: [project],
    projects: [project],
    repositories: [],
    gitSettings: [],
    gitValues: [],
    paths: [],
    patterns: [],
    kept: [],
  });
}

/** As if hoop had been killed: its process is not there any more. */
function killed(run: string): void {
  const file = join(home.state, 'changes', `${run}.json`);
  const owed = JSON.parse(readFileSync(file, 'utf8'));
  // Its number is another one's by now.
  writeFileSync(file, JSON.stringify({ ...owed, owner: owed.owner.replace(/\d+$/, '1') }));
}

const paths = ({ changes }: EarlierChanges) => changes.map(({ path }) => path);

test('a run that changes nothing leaves nothing', () => {
  const run = begin('one');
  expect(readdirSync(join(home.state, 'changes'))).toEqual(['one.json']);
  run.settle(run.after().changes);
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

test('what nobody was asked about waits, with what stood there before the first of several runs', () => {
  for (const [run, text] of [
    ['one', 'second'],
    ['two', 'third'],
  ] as const) {
    const owed = begin(run);
    writeFileSync(join(project, 'CLAUDE.md'), text);
    owed.settle(owed.after().changes);
  }
  expect(readdirSync(join(home.state, 'changes'))).toEqual(['two.json']);
  const earlier = EarlierChanges.in(home, project);
  const [change] = earlier.changes;
  expect(change?.before).toMatchObject({ content: Buffer.from('first').toString('base64') });
  expect(change?.after).toMatchObject({ content: Buffer.from('third').toString('base64') });
  earlier.settle([]);
  expect(readdirSync(join(home.state, 'changes'))).toEqual([]);
});

test('what the person has put back by hand is not asked about', () => {
  const owed = begin('one');
  writeFileSync(join(project, 'CLAUDE.md'), 'evil');
  owed.settle(owed.after().changes);
  writeFileSync(join(project, 'CLAUDE.md'), 'first');
  expect(paths(EarlierChanges.in(home, project))).toEqual([]);
});

test('a damaged file asks for nothing, and stays', () => {
  mkdirSync(join(home.state, 'changes'), { recursive: true });
  const file = join(home.state, 'changes', 'x.json');
  writeFileSync(file, '{');
  EarlierChanges.in(home, project).settle([]);
  expect(existsSync(file)).toBe(true);
});
