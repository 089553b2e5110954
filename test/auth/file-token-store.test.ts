import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FileTokenStore } from '../../src/auth/file-token-store.ts';
import type { TokenRecord } from '../../src/auth/token-record.ts';
import { temporaryHome } from './command-run.ts';

const RECORD: TokenRecord = { accessToken: 'a', expiresAtMs: 1, refreshToken: 'r', key: 'k' };
const GATEWAY = 'https://gw.example.com';

describe('the token file', () => {
  test('is 0600 in a directory that it makes 0700, and leaves nothing else behind', async () => {
    using home = temporaryHome();
    const directory = join(home.path, 'state', 'hoop');
    const store = new FileTokenStore(directory);
    expect(await store.read(GATEWAY)).toBeUndefined();
    await store.write(GATEWAY, RECORD);
    expect(await store.read(GATEWAY)).toEqual(RECORD);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(join(directory, 'tokens.json')).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory)).toEqual(['tokens.json']);
  });

  test('closes a directory that was open to others', async () => {
    using home = temporaryHome();
    const directory = join(home.path, 'open');
    mkdirSync(directory, { mode: 0o755 });
    await new FileTokenStore(directory).write(GATEWAY, RECORD);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
  });

  test('keeps the tokens of several gateways apart and goes with the last of them', async () => {
    using home = temporaryHome();
    const store = new FileTokenStore(home.path);
    await store.write(GATEWAY, RECORD);
    await store.write('https://other', { ...RECORD, accessToken: 'b' });
    expect(await store.remove(GATEWAY)).toBe(true);
    expect(await store.remove(GATEWAY)).toBe(false);
    expect((await store.read('https://other'))?.accessToken).toBe('b');
    await store.remove('https://other');
    expect(existsSync(join(home.path, 'tokens.json'))).toBe(false);
  });

  test.each([
    [
      'a link to another one',
      (path: string) => symlinkSync('/etc/hostname', path),
      'is not a file',
    ],
    [
      'larger than any is',
      (path: string) => {
        writeFileSync(path, '', { mode: 0o600 });
        truncateSync(path, 5 << 20);
      },
      'is too large',
    ],
  ])('is not used when it is %s: programs of a run write there', async (_what, make, said) => {
    using home = temporaryHome();
    make(join(home.path, 'tokens.json'));
    await expect(new FileTokenStore(home.path).read(GATEWAY)).rejects.toMatchObject({
      code: 'HOOP_LOCAL_STATE',
      message: expect.stringContaining(said),
    });
  });

  test('is not used when it is a pipe, which would be read for ever', async () => {
    using home = temporaryHome();
    execFileSync('mkfifo', ['-m', '600', join(home.path, 'tokens.json')]);
    await expect(new FileTokenStore(home.path).read(GATEWAY)).rejects.toMatchObject({
      code: 'HOOP_LOCAL_STATE',
      message: expect.stringContaining('is not a file'),
    });
  });

  test.each([
    ['the file', 'tokens.json', 0o640],
    ['the file', 'tokens.json', 0o604],
    ['the directory', '', 0o750],
  ])('is not used when %s can be read by others', async (_what, name, mode) => {
    using home = temporaryHome();
    const store = new FileTokenStore(home.path);
    await store.write(GATEWAY, RECORD);
    chmodSync(join(home.path, name), mode);
    await expect(store.read(GATEWAY)).rejects.toMatchObject({
      code: 'HOOP_LOCAL_STATE',
      message: expect.stringContaining('is accessible to others'),
      detail: `Its mode is 0${mode.toString(8)}.`,
      hint: expect.stringContaining("chmod go= '"),
    });
  });

  test.each([
    'not json',
    '[]',
    '{"v":2,"tokens":{}}',
    '{"v":1}',
    '{"v":1,"tokens":{"https://gw.example.com":{"accessToken":1}}}',
  ])('that is damaged is an error that says so: %s', async (content) => {
    using home = temporaryHome();
    writeFileSync(join(home.path, 'tokens.json'), content, { mode: 0o600 });
    await expect(new FileTokenStore(home.path).read(GATEWAY)).rejects.toMatchObject({
      code: 'HOOP_LOCAL_STATE',
      message: expect.stringContaining('damaged'),
    });
  });
});
