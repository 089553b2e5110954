import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { holdLock, isHeld, tryLock } from '../src/held-lock.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'hoop-lock-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

test('a lock is held until it is given back, once, and by one', () => {
  const path = join(root, 'a', 'lock');
  expect(isHeld(path)).toBe(false);
  const lock = holdLock(path);
  expect(isHeld(path)).toBe(true);
  expect(() => holdLock(path)).toThrow(expect.objectContaining({ code: 'HOOP_LOCAL_STATE' }));
  lock[Symbol.dispose]();
  lock[Symbol.dispose]();
  expect(isHeld(path)).toBe(false);
});

test.each([
  [13, 'the disk is full'],
  [8, 'it is read-only'],
  [522, 'the disk has a fault, or no room'],
])('a lock that nobody can take is an error in words, with where it is (%i)', (errcode, reason) => {
  const database = {
    exec: () => {
      throw Object.assign(new Error('what SQLite says'), { errcode });
    },
    location: () => '/state/tokens.lock',
  };
  expect(() => tryLock(database)).toThrow(
    expect.objectContaining({
      code: 'HOOP_LOCAL_STATE',
      message: `cannot lock "/state/tokens.lock": ${reason}`,
    }),
  );
});

test('nobody holds what is no lock', () => {
  const path = join(root, 'text');
  writeFileSync(path, '4711 and more than a header of a database is long'.repeat(10));
  expect(isHeld(path)).toBe(false);
});
