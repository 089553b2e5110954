/** How `hoop demo` starts and ends; its tour, and its other forms, are in demo-forms.test.ts. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { processesOf } from './processes-of.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-demo-test-'));
  // As root the server runs as nobody, who must be able to pass through.
  chmodSync(directory, 0o711);
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

function startDemoCommand(...args: string[]) {
  return spawn(process.execPath, ['bin/hoop.js', 'demo', ...args], {
    // Its temporary files all go below `directory`, so what it leaves behind can be seen.
    env: { ...process.env, TMPDIR: directory },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

describe('hoop demo', () => {
  // SIGTERM: demo-forms.test.ts.
  test('--json prints the contract’s line, and SIGINT leaves nothing behind', async () => {
    const child = startDemoCommand('--json');
    const [text] = await once(createInterface({ input: child.stdout }), 'line');
    const line = JSON.parse(text);
    expect(line).toMatchObject({
      event: 'ready',
      v: 1,
      targets: { 'prod-db': { kind: 'postgres' } },
    });
    for (const identity of ['dba', 'engineer', 'auditor', 'devin']) {
      expect(existsSync(line.homes[identity])).toBe(true);
    }
    expect(existsSync(line.ca)).toBe(true);
    expect(existsSync(line.signingKey)).toBe(true);
    child.kill('SIGINT');
    await once(child, 'close');
    expect(readdirSync(directory)).toEqual([]);
    expect(processesOf(directory)).toEqual([]);
  });

  test('SIGKILL leaves nothing behind for long: what the demo started ends by itself', async () => {
    const child = startDemoCommand('--json');
    await once(createInterface({ input: child.stdout }), 'line');
    const closed = once(child, 'exit');
    child.kill('SIGKILL');
    await closed;
    await expect.poll(() => processesOf(directory)).toEqual([]);
    expect(readdirSync(directory)).toEqual([]);
  });

  test('a signal in the middle of the start leaves nothing behind', async () => {
    const child = startDemoCommand('--check');
    await once(createInterface({ input: child.stderr }), 'line');
    child.kill('SIGTERM');
    await once(child, 'close');
    expect(readdirSync(directory)).toEqual([]);
    expect(processesOf(directory)).toEqual([]);
  });

  test('a failing start leaves nothing behind and says why', async () => {
    const child = startDemoCommand(
      '--json',
      '--postgres',
      'postgres://nobody:secret-word@127.0.0.1:9/none',
    );
    let errors = '';
    child.stderr.on('data', (data) => {
      errors += data;
    });
    const [code] = await once(child, 'close');
    expect(code).not.toBe(0);
    expect(JSON.parse(errors)).toMatchObject({ v: 1, error: { code: 'HOOP_TARGET_UNREACHABLE' } });
    expect(errors).not.toContain('secret-word');
    expect(readdirSync(directory)).toEqual([]);
    expect(processesOf(directory)).toEqual([]);
  });
});
