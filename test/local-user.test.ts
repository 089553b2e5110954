import { homedir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { locateHome } from '../src/home.ts';
import { localUser } from '../src/local-user.ts';
import { inFull } from '../src/run/later/git-settings.ts';

vi.mock('node:os', async (original) => ({
  ...(await original<typeof import('node:os')>()),
  // As Node.js does for a number that has no entry, in a container.
  userInfo: () => {
    throw new Error('uv_os_get_passwd returned ENOENT (no such file or directory)');
  },
}));

test('who is not in the list of users has a place for hoop, and settings of git', () => {
  expect(localUser()).toEqual({});
  expect(locateHome({}).runtime).toMatch(/hoop-\d+$/);
  expect(inFull('~/hooks')).toBe(join(homedir(), 'hooks'));
  expect(inFull('~ann/hooks')).toBe('~ann/hooks');
});
