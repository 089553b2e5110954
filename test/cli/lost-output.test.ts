/** /dev/full takes nothing, as a disk without room. */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { expect, test } from 'vitest';
import { LAUNCHER } from '../../src/demo/hoop-process.ts';

function hoop(args: readonly string[], full: 'stdout' | 'stderr') {
  const device = openSync('/dev/full', 'w');
  try {
    return spawnSync(process.execPath, [LAUNCHER, ...args], {
      stdio: ['ignore', full === 'stdout' ? device : 'pipe', full === 'stderr' ? device : 'pipe'],
      encoding: 'utf8',
    });
  } finally {
    closeSync(device);
  }
}

test.each([
  ['what commander prints', ['--help']],
  ['what a command prints', ['completion', 'bash']],
])('%s and the disk does not take is an error in words, with a status', (_, args) => {
  const { status, stderr } = hoop(args, 'stdout');
  expect(stderr).toContain('error: the output cannot be written: the disk is full');
  expect(stderr).not.toMatch(/^\s+at /m);
  expect(stderr.match(/cannot be written/g)).toHaveLength(1);
  expect(status).toBe(1);
});

test('what stderr does not take is nobody’s loss: the result and the status stay', () => {
  expect(hoop(['--version'], 'stderr')).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^\d/),
  });
  const refused = hoop(['no-such-command'], 'stderr');
  expect(refused).toMatchObject({ status: 2, stdout: '' });
});
