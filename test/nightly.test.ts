/** `npm run nightly`: which scripts it runs, and what it says of them. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

const NIGHTLY = fileURLToPath(new URL('../tools/nightly.ts', import.meta.url));

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-nightly-test-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function nightly(scripts: Readonly<Record<string, string>>, ...args: readonly string[]) {
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ scripts }));
  mkdirSync(join(directory, 'logs'));
  const all = [NIGHTLY, '--output', join(directory, 'logs'), ...args];
  return spawnSync(process.execPath, all, { cwd: directory, encoding: 'utf8' });
}

const SCRIPTS = {
  test: 'exit 4',
  conformance: 'exit 0',
  'conformance:tools': 'echo this went wrong && exit 3',
  differential: 'exit 0',
  'soak:ssh': 'exit 0',
};

test('one that fails does not stop the others; its last lines are shown, and the exit status says so', () => {
  const { status, stdout } = nightly(SCRIPTS);
  expect(stdout.replaceAll(/: \d.*\/logs\//g, ' ')).toBe(
    [
      'ok   conformance conformance.log',
      'FAIL conformance:tools conformance-tools.log, exit status 3',
      'this went wrong',
      'ok   differential differential.log',
      'ok   soak:ssh soak-ssh.log',
      '3 passed, 1 failed',
      '',
    ].join('\n'),
  );
  expect(status).toBe(1);
  expect(readFileSync(join(directory, 'logs/conformance-tools.log'), 'utf8')).toContain('wrong');
});

test('some of them', () => {
  const { status, stdout } = nightly(SCRIPTS, '--only', 'soak:ssh');
  expect(stdout).toContain('1 passed, 0 failed');
  expect(status).toBe(0);
});

test('a name that is not one of them runs nothing', () => {
  const { status, stdout, stderr } = nightly(SCRIPTS, '--only', 'test');
  expect(status).not.toBe(0);
  expect(stdout).toBe('');
  expect(stderr).toContain('test: not one of conformance, conformance:tools');
});
