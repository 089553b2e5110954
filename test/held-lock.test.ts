import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { holdLock, isHeld } from '../src/held-lock.ts';

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

test('nobody holds what is no lock', () => {
  const path = join(root, 'text');
  writeFileSync(path, '4711 and more than a header of a database is long'.repeat(10));
  expect(isHeld(path)).toBe(false);
});
