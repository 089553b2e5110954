import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runHoop } from '../../src/demo/hoop-process.ts';
import { type TemporaryHome, temporaryHome } from '../auth/command-run.ts';

let home: TemporaryHome;
beforeEach(() => {
  home = temporaryHome();
});
afterEach(() => {
  home[Symbol.dispose]();
});

function config(args: readonly string[], variables: Record<string, string> = {}) {
  return runHoop(['config', ...args], { home: home.path, variables });
}

test('what is set is got, listed with where it comes from, and unset again', async () => {
  expect(await config(['set', 'gateway', 'gw.example.com'])).toMatchObject({
    exitCode: 0,
    stdout: '',
  });
  expect((await config(['get', 'gateway'])).stdout).toBe('https://gw.example.com\n');
  const { stdout } = await config(['list', '--json'], { HOOP_TOKEN_STORE: 'file' });
  expect(JSON.parse(stdout)).toEqual({
    v: 1,
    file: join(home.path, 'config.json'),
    settings: [
      { key: 'gateway', value: 'https://gw.example.com', source: 'file' },
      { key: 'ca', source: 'default' },
      { key: 'tokenStore', value: 'file', source: 'HOOP_TOKEN_STORE' },
      { key: 'download', source: 'default' },
    ],
  });
  const text = await config(['list']);
  expect(text.stdout).toMatch(/^gateway {5}https:\/\/gw\.example\.com {2}file$/m);
  expect(text.stdout).toContain(`\n\nfile: ${home.path}/config.json\n`);
  expect(await config(['unset', 'gateway'])).toMatchObject({ exitCode: 0 });
  expect(await config(['get', 'gateway'])).toMatchObject({ exitCode: 1, stdout: '', stderr: '' });
  expect(JSON.parse((await config(['get', 'gateway', '--json'])).stdout)).toEqual({
    v: 1,
    key: 'gateway',
    value: null,
    source: 'default',
  });
});

test('a variable that wins is told', async () => {
  const run = await config(['set', 'gateway', 'https://a.example'], {
    HOOP_GATEWAY: 'https://b.example',
  });
  expect(run.stderr).toContain('the variable HOOP_GATEWAY is set and overrides it');
});

test('a value that cannot be used is refused, and what was there stays', async () => {
  await config(['set', 'gateway', 'https://gw.example.com']);
  const notPem = join(home.path, 'not.pem');
  writeFileSync(notPem, 'hello');
  for (const [args, message] of [
    [['set', 'gateway', 'http://gw.example.com'], 'does not start with https'],
    [['set', 'gateway', 'https://me:secret@gw.example.com'], 'must not contain a user or password'],
    [['set', 'tokenStore', 'memory'], 'tokenStore cannot be "memory"'],
    [['set', 'download', 'sometimes'], 'download cannot be "sometimes"'],
    [['set', 'ca', '/does/not/exist.pem'], 'cannot read the CA certificate'],
    [['set', 'ca', notPem], 'contains no PEM certificate'],
    [
      ['set', 'token', 'x'],
      '"token" is not a valid key\nhoop: hint: Choices are gateway, ca, tokenStore, download.',
    ],
    [['get', 'password'], '"password" is not a valid key'],
    [['set', 'keepEnv', 'GH_TOKEN'], '"keepEnv" holds lists; edit it in the file'],
    [['get', 'fence'], join(home.path, 'config.json')],
  ] as const) {
    const run = await config(args);
    expect(run.exitCode, args.join(' ')).toBe(2);
    expect(run.stderr).toContain(message);
    expect(run.stderr).not.toContain('secret');
  }
  expect((await config(['get', 'gateway'])).stdout).toBe('https://gw.example.com\n');
});

test('a CA is remembered by its whole path, and the file is nobody else’s', async () => {
  const pem = join(home.path, 'ca.pem');
  writeFileSync(pem, '-----BEGIN CERTIFICATE-----\n');
  chmodSync(pem, 0o644);
  await config(['set', 'ca', pem]);
  const file = join(home.path, 'config.json');
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ ca: pem });
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test('on a narrow screen nothing of it is cut', async () => {
  const gateway = `https://${'long-name.'.repeat(8)}example.com`;
  await config(['set', 'gateway', gateway]);
  const { stdout } = await config(['list'], { HOOP_COLUMNS: '80', HOOP_TOKEN_STORE: 'file' });
  expect(stdout).toContain(gateway);
  expect(stdout).toMatch(/^tokenStore {2}file {2,}HOOP_TOKEN_STORE$/m);
  expect(stdout).not.toContain('…');
});

test('a gateway that only the variable names is named with it, and what is used without it', async () => {
  await config(['set', 'gateway', 'https://gw.example.com']);
  const whoami = (gateway: string) =>
    runHoop(['whoami'], {
      home: home.path,
      variables: { HOOP_GATEWAY: gateway, HOOP_IDENTITY: 'login', HOOP_TOKEN_STORE: 'file' },
    });
  const unknown = await whoami('bananas');
  expect(unknown.exitCode).toBe(3);
  expect(unknown.stderr).toContain('not logged in to "https://bananas"');
  expect(unknown.stderr).toContain('The variable HOOP_GATEWAY names it');
  expect(unknown.stderr).toContain('without it, it is https://gw.example.com');
  const wrong = await whoami('https://');
  expect(wrong.stderr).toContain('"https://" is not an address of a gateway');
  expect(wrong.stderr).toContain('The variable HOOP_GATEWAY names it');
});

test('several at once each keep what the others set', async () => {
  const pem = join(home.path, 'ca.pem');
  writeFileSync(pem, '-----BEGIN CERTIFICATE-----\n');
  await Promise.all([
    config(['set', 'gateway', 'https://gw.example.com']),
    config(['set', 'ca', pem]),
    config(['set', 'tokenStore', 'file']),
  ]);
  expect(JSON.parse(readFileSync(join(home.path, 'config.json'), 'utf8'))).toEqual({
    gateway: 'https://gw.example.com',
    ca: pem,
    tokenStore: 'file',
  });
});

test('without HOOP_HOME it is where the XDG directories say', async () => {
  const variables = { XDG_CONFIG_HOME: home.path, XDG_STATE_HOME: home.path };
  const run = await runHoop(['config', 'list', '--json'], {
    home: '',
    variables: { ...variables, HOOP_HOME: '' },
  });
  expect(JSON.parse(run.stdout).file).toBe(join(home.path, 'hoop', 'config.json'));
});

test('its keys are completed', async () => {
  const { stdout } = await runHoop(['complete', '--', 'config', 'get', ''], { home: home.path });
  expect(stdout.split('\n').map((line) => line.split('\t')[0])).toEqual([
    'gateway',
    'ca',
    'tokenStore',
    'download',
    '',
  ]);
});
