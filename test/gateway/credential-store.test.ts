import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ConfigCredentialStore } from '../../src/gateway/credential-store.ts';
import { collectLog } from './collect-log.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hoop-credentials-'));
});
afterAll(() => rm(directory, { recursive: true }));

function store(file: string, env: NodeJS.ProcessEnv = {}) {
  const { log, events } = collectLog();
  const credentials = {
    fromFile: { user: 'app', password: { from: 'file', path: join(directory, file) } },
    fromEnv: { user: 'ro', password: { from: 'env', name: 'RO_PASSWORD' } },
  } as const;
  return { credentials: new ConfigCredentialStore({ credentials, env, log }), events };
}

test('a password file loses its last newline and nothing else', async () => {
  await writeFile(join(directory, 'a'), ' p w \n', { mode: 0o600 });
  const { credentials } = store('a');
  const { user, password } = await credentials.credential('fromFile');
  expect(user).toBe('app');
  expect(password?.expose()).toBe(' p w ');
  expect(inspect(password)).not.toContain('p w');
});

test('a rotated file takes effect at the next use', async () => {
  await writeFile(join(directory, 'b'), 'old', { mode: 0o600 });
  const { credentials } = store('b');
  expect((await credentials.credential('fromFile')).password?.expose()).toBe('old');
  await writeFile(join(directory, 'b'), 'new');
  expect((await credentials.credential('fromFile')).password?.expose()).toBe('new');
});

test('a file that others may read is warned about', async () => {
  await writeFile(join(directory, 'c'), 'x', { mode: 0o644 });
  const { credentials, events } = store('c', { RO_PASSWORD: 'y' });
  await credentials.check();
  expect(events.map(({ event }) => event)).toEqual(['credential.file_mode']);
});

test.each([
  ['empty', '\n'],
  ['two lines', 'a\nb\n'],
  ['too long', 'x'.repeat(5000)],
])('a password file that is %s is refused', async (_what, text) => {
  await writeFile(join(directory, 'd'), text, { mode: 0o600 });
  await expect(store('d').credentials.credential('fromFile')).rejects.toMatchObject({
    code: 'HOOP_CONFIG',
  });
});

test('what is missing is named: file, variable, credential', async () => {
  const { credentials } = store('missing');
  await expect(credentials.credential('fromFile')).rejects.toThrow('missing');
  await expect(credentials.credential('fromEnv')).rejects.toThrow('RO_PASSWORD');
  await expect(credentials.credential('toString')).rejects.toThrow('no credential "toString"');
});
