import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  makeRuntimeDirectory,
  sweepRuntimeDirectories,
} from '../../src/client/runtime-directory.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-rt-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const notOurs = { code: 'HOOP_LOCAL_STATE' };

test('the runtime directory is made for its owner alone', () => {
  const made = makeRuntimeDirectory(join(directory, 'run'));
  expect(statSync(made).mode & 0o777).toBe(0o700);
  expect(statSync(join(directory, 'run')).mode & 0o777).toBe(0o700);
});

test('one that others may write in is refused: they could replace what is in it', () => {
  const run = join(directory, 'run');
  mkdirSync(run);
  chmodSync(run, 0o777);
  expect(() => makeRuntimeDirectory(run)).toThrow(expect.objectContaining(notOurs));
});

test('a link is refused, wherever it leads', () => {
  mkdirSync(join(directory, 'elsewhere'), { mode: 0o700 });
  symlinkSync(join(directory, 'elsewhere'), join(directory, 'run'));
  expect(() => makeRuntimeDirectory(join(directory, 'run'))).toThrow(
    expect.objectContaining(notOurs),
  );
});

test.runIf(process.getuid?.() === 0)('one that somebody else owns is refused', () => {
  const run = join(directory, 'run');
  mkdirSync(run, { mode: 0o700 });
  chownSync(run, 65534, 65534);
  expect(() => makeRuntimeDirectory(run)).toThrow(expect.objectContaining(notOurs));
});

describe('what a killed session left behind', () => {
  /** The id of a process that has ended. */
  const ended = (): number => spawnSync(process.execPath, ['--version']).pid;

  test('is removed, and what a living one uses is not', () => {
    const run = join(directory, 'run');
    const living = makeRuntimeDirectory(run);
    const dead = join(run, `s-${ended()}-abcdef`);
    mkdirSync(dead, { mode: 0o700 });
    writeFileSync(join(dead, 'pgpass'), 'secret');
    sweepRuntimeDirectories(run);
    expect(readdirSync(run)).toEqual([basename(living)]);
  });

  test('but nothing that only has a name like it', () => {
    const run = join(directory, 'run');
    mkdirSync(join(directory, 'elsewhere'));
    mkdirSync(run, { mode: 0o700 });
    symlinkSync(join(directory, 'elsewhere'), join(run, `s-${ended()}-linked`));
    writeFileSync(join(run, `s-${ended()}-myfile`), '');
    mkdirSync(join(run, 's-notes'));
    const before = readdirSync(run);
    sweepRuntimeDirectories(run);
    expect(readdirSync(run)).toEqual(before);
    sweepRuntimeDirectories(join(directory, 'not-there'));
  });
});
