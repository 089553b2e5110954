import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeRuntimeDirectory } from '../../src/tunnel/connection-files.ts';

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
