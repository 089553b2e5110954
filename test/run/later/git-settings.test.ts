/** Settings of git are read as git reads them: held against git itself. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  inFull,
  newEffort,
  settingsFrom,
  settingsOfEnvironment,
} from '../../../src/run/later/git-settings.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'hoop-settings-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function git(env: NodeJS.ProcessEnv, ...words: readonly string[]): readonly (readonly string[])[] {
  const stdout = execFileSync('git', ['config', ...words, '--list', '-z'], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, GIT_CONFIG_NOSYSTEM: '1', HOME: root, ...env },
  });
  return stdout
    .split('\0')
    .filter(Boolean)
    .map((line) => {
      const end = line.indexOf('\n');
      const name = end === -1 ? line : line.slice(0, end);
      const key = name.slice(name.lastIndexOf('.') + 1).toLowerCase();
      return [key, end === -1 ? '' : line.slice(end + 1)];
    });
}

test.each([
  ['a line that goes on', '[core]\n\thooksPath = .git\\\nhooks\n'],
  ['a line that goes on within quotes', '[core]\n\tfsmonitor = "a \\\n b"\n'],
  ['lines as on Windows', '[core]\r\n\thooksPath = .githooks\\\r\n/x\r\n\tbare = false\r\n'],
  ['comments, and what is none', '[core] ; x\n# y\n\thooksPath = "a;b" ; c\n\tpager = a#b\n'],
  ['quotes in the middle, and blanks', '[core]\n\thooksPath =   a" b "c  d \t \n'],
  ['escapes', '[core]\n\tpager = \\"x\\" \\\\ \\t\\n|\n'],
  ['a section with a bracket in its name', '[filter "]\\"["] clean = tools/x\n'],
  ['a setting behind its section', '[core]hooksPath=.x\n'],
  ['one that only says that it is on', '[core]\n\tbare\n\thooksPath = x\n'],
  ['upper case, and no end of line', '[CORE]\n\tHOOKSPATH = x'],
  ['the mark of an order of bytes', '\ufeff[core]\n\thooksPath = x\n'],
])('%s', (_, text) => {
  const file = join(root, 'config');
  writeFileSync(file, text);
  const found = settingsFrom(file, newEffort()).map(({ key, value }) => [key, value]);
  expect(found).toEqual(git({}, '--file', file));
  expect(found.length).toBeGreaterThan(0);
});

test('settings of the environment, and those of git -c', () => {
  const env = {
    GIT_CONFIG_COUNT: '2',
    GIT_CONFIG_KEY_0: 'core.hooksPath',
    GIT_CONFIG_VALUE_0: '.githooks',
    GIT_CONFIG_KEY_1: 'filter.a.b.clean',
    GIT_CONFIG_VALUE_1: './x',
    GIT_CONFIG_PARAMETERS: "'core.pager'='it'\\''s' 'core.editor=vi'",
  };
  const found = settingsOfEnvironment(env).map(({ key, value }) => [key, value]);
  expect(found.toSorted()).toEqual(git(env).toSorted());
});

test('paths as git takes them', () => {
  expect(inFull('~/x')).toBe(`${homedir()}/x`);
  expect(inFull(`~${userInfo().username}/x`)).toBe(`${homedir()}/x`);
  expect(inFull('~nobody-of-that-name/x')).toBe('~nobody-of-that-name/x');
  expect(inFull('%(prefix)/etc/x')).toBe('/usr/etc/x');
  expect(inFull(':(optional)x')).toBe('x');
});

test('what is too long, or too much, is said and not passed over', () => {
  const effort = newEffort();
  const long = join(root, 'long');
  writeFileSync(long, `[core]\n#${'x'.repeat(1024 * 1024)}\n`);
  expect(settingsFrom(long, effort)).toEqual([]);
  expect([...effort.leftOut]).toEqual([long]);
  mkdirSync(join(root, 'many'));
  for (let n = 0; n <= 100; n += 1) {
    writeFileSync(join(root, 'many', `${n}`), `[include]\npath = ${n + 1}\n`);
  }
  settingsFrom(join(root, 'many', '0'), effort);
  expect([...effort.leftOut]).toEqual([long, join(root, 'many', '100')]);
});
