import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCertificateAuthority, issueClientCertificate } from '../../../src/certificates.ts';
import { ConfigCredentialStore } from '../../../src/gateway/targets/credential-store.ts';
import { collectLog } from '../collect-log.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hoop-credentials-'));
});
afterAll(() => rm(directory, { recursive: true }));

function store(file: string, env: NodeJS.ProcessEnv = {}) {
  const { log, events } = collectLog();
  const credentials = {
    fromFile: {
      user: 'app',
      password: { from: 'file', path: join(directory, file) },
      clientCertificate: undefined,
      privateKeyFile: undefined,
    },
    fromEnv: {
      user: 'ro',
      password: { from: 'env', name: 'RO_PASSWORD' },
      clientCertificate: undefined,
      privateKeyFile: undefined,
    },
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

describe('a client certificate', () => {
  const ca = createCertificateAuthority();
  const issued = issueClientCertificate(ca, 'app');

  async function certificate(cert: string, key: string, mode = 0o600) {
    const { log, events } = collectLog();
    const clientCertificate = {
      certFile: join(directory, 'client.pem'),
      keyFile: join(directory, 'client.key'),
    };
    await writeFile(clientCertificate.certFile, cert);
    await writeFile(clientCertificate.keyFile, key);
    await chmod(clientCertificate.keyFile, mode);
    const credentials = {
      app: { user: 'app', password: undefined, clientCertificate, privateKeyFile: undefined },
    };
    return { credentials: new ConfigCredentialStore({ credentials, env: {}, log }), events };
  }

  test('is read with its key, which no text of it shows', async () => {
    const { credentials } = await certificate(issued.certificate, issued.privateKey);
    const found = await credentials.credential('app');
    expect(found.clientCertificate?.certificate).toBe(issued.certificate);
    expect(found.clientCertificate?.privateKey.expose()).toBe(issued.privateKey);
    expect(inspect(found)).not.toContain('PRIVATE KEY');
  });

  test('whose key others may read is warned about', async () => {
    const made = await certificate(issued.certificate, issued.privateKey, 0o644);
    await made.credentials.check();
    expect(made.events.map(({ event }) => event)).toEqual(['credential.file_mode']);
  });

  test.each([
    ['with the key of another', issueClientCertificate(ca, 'app').privateKey],
    ['with no key', 'nothing'],
  ])('%s is refused without showing what is in the files', async (_what, key) => {
    const { credentials } = await certificate(issued.certificate, key);
    const error = await credentials.credential('app').catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'HOOP_CONFIG' });
    expect(JSON.stringify(error)).not.toContain('PRIVATE KEY');
  });
});

describe('a private key for SSH', () => {
  const KEY = '-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----\n';

  async function key(text: string, mode = 0o600) {
    const { log, events } = collectLog();
    const privateKeyFile = join(directory, 'web.key');
    await writeFile(privateKeyFile, text);
    await chmod(privateKeyFile, mode);
    const none = { password: undefined, clientCertificate: undefined };
    const credentials = { web: { user: 'deploy', ...none, privateKeyFile } };
    return {
      credentials: new ConfigCredentialStore({ credentials, env: {}, log }),
      events,
      privateKeyFile,
    };
  }

  test('is read at each use, and no text of it shows', async () => {
    const { credentials, privateKeyFile } = await key(KEY);
    const found = await credentials.credential('web');
    expect(found.privateKey?.expose()).toBe(KEY);
    expect(inspect(found)).not.toContain('c2VjcmV0');
    await writeFile(privateKeyFile, KEY.replaceAll('OPENSSH', 'RSA'));
    expect((await credentials.credential('web')).privateKey?.expose()).toContain('BEGIN RSA');
  });

  test('that others may read is warned about', async () => {
    const made = await key(KEY, 0o640);
    await made.credentials.check();
    expect(made.events.map(({ event }) => event)).toEqual(['credential.file_mode']);
  });

  test('that is the public one, or none, is refused with what to do', async () => {
    for (const text of ['ssh-ed25519 AAAA comment', '', 'x'.repeat(100_000)]) {
      const { credentials } = await key(text);
      await expect(credentials.credential('web')).rejects.toMatchObject({ code: 'HOOP_CONFIG' });
    }
  });
});
