/** Clients whose configuration accepts only some algorithms, at a port with every type of key. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuthContext, ConnectConfig } from 'ssh2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keptSshKeys } from '../../../../src/connectors/ssh/client/kept-ssh-keys.ts';
import { type LoginStep, LoginTries } from '../../../../src/connectors/ssh/client/log-in-client.ts';
import { sshHostBlock } from '../../../../src/connectors/ssh/client/ssh-config.ts';
import { publicKeyBytes } from '../../../../src/connectors/ssh/client/ssh-keys.ts';
import { ssh2 } from '../../../../src/connectors/ssh/shared/ssh2.ts';
import { type Ran, SshPortFixture } from './ssh-client.ts';

let directory: string;
let fixture: SshPortFixture;
let kept: Awaited<ReturnType<typeof keptSshKeys>>;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-pinned-'));
  kept = await keptSshKeys({ state: directory }, 'web-1', new AbortController().signal);
  fixture = await SshPortFixture.open({ keys: kept });
});
afterAll(async () => {
  await fixture[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

/** Settings that people have for all hosts. */
const USUAL = [
  'KexAlgorithms sntrup761x25519-sha512@openssh.com',
  'KexAlgorithms curve25519-sha256',
  'KexAlgorithms ecdh-sha2-nistp384',
  'KexAlgorithms ecdh-sha2-nistp521',
  'KexAlgorithms diffie-hellman-group14-sha256',
  'KexAlgorithms diffie-hellman-group16-sha512,diffie-hellman-group18-sha512',
  'KexAlgorithms diffie-hellman-group-exchange-sha256',
  'HostKeyAlgorithms rsa-sha2-512,rsa-sha2-256',
  'HostKeyAlgorithms ecdsa-sha2-nistp384',
  'HostKeyAlgorithms ssh-ed25519,ssh-ed25519-cert-v01@openssh.com',
  'Ciphers aes192-ctr',
  'Ciphers aes256-cbc',
  'Ciphers chacha20-poly1305@openssh.com',
  'Ciphers aes256-gcm@openssh.com',
  'MACs hmac-sha2-512',
  'MACs hmac-sha2-512-etm@openssh.com,umac-128-etm@openssh.com',
  'Ciphers aes256-ctr\nMACs hmac-sha2-512-etm@openssh.com',
  'Ciphers aes256-ctr\nMACs umac-128-etm@openssh.com',
  'PubkeyAcceptedAlgorithms rsa-sha2-512,rsa-sha2-256',
  'PubkeyAcceptedAlgorithms ecdsa-sha2-nistp384,sk-ssh-ed25519@openssh.com',
  'PubkeyAcceptedKeyTypes -ssh-ed25519*,ecdsa*',
  'PubkeyAuthentication no\nPreferredAuthentications password',
  'RequiredRSASize 4096',
  'CASignatureAlgorithms rsa-sha2-512',
  'RekeyLimit 1M 1h',
  'Compression yes',
  'ProxyUseFdpass yes',
  'ProxyJump bastion.example.com',
  'ProxyCommand false',
  'Port 2222\nUser root\nHostName 192.0.2.1',
  'CanonicalizeHostname always\nCanonicalDomains example.invalid\nCanonicalizeFallbackLocal no',
  'VerifyHostKeyDNS yes',
  'StrictHostKeyChecking ask\nHashKnownHosts yes\nVisualHostKey yes',
  'UserKnownHostsFile /dev/null\nGlobalKnownHostsFile /dev/null',
  'HostKeyAlias other\nCheckHostIP yes\nUpdateHostKeys ask',
  'IdentityFile /dev/null\nIdentitiesOnly no\nIdentityAgent SSH_AUTH_SOCK',
  'AddKeysToAgent ask',
  'ForwardAgent yes\nForwardX11 yes\nForwardX11Trusted yes',
  'GSSAPIAuthentication yes\nHostbasedAuthentication yes\nKbdInteractiveAuthentication yes',
  'ServerAliveInterval 1\nServerAliveCountMax 2\nTCPKeepAlive no',
  'ControlMaster auto\nControlPath %d/none-%C\nControlPersist no',
  'AddressFamily inet6',
  'SendEnv LANG LC_* SECRET\nSetEnv A=b',
  'Tunnel point-to-point\nExitOnForwardFailure yes',
  'BatchMode yes\nConnectTimeout 10\nNumberOfPasswordPrompts 0',
] as const;

/** What RHEL includes for its policies DEFAULT, FIPS and FUTURE, shortened. */
const POLICIES = [
  `Ciphers aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-ctr,aes128-gcm@openssh.com,aes128-ctr
  MACs hmac-sha2-256-etm@openssh.com,hmac-sha1-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-512
  KexAlgorithms curve25519-sha256,ecdh-sha2-nistp256,ecdh-sha2-nistp384,diffie-hellman-group-exchange-sha256
  PubkeyAcceptedAlgorithms ecdsa-sha2-nistp256,ssh-ed25519,rsa-sha2-256,rsa-sha2-512`,
  `Ciphers aes256-gcm@openssh.com,aes256-ctr,aes128-gcm@openssh.com,aes128-ctr
  MACs hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512
  KexAlgorithms ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group14-sha256
  HostKeyAlgorithms ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-256,rsa-sha2-512
  PubkeyAcceptedAlgorithms ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,rsa-sha2-256,rsa-sha2-512`,
  `Ciphers aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-ctr
  MACs hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512
  KexAlgorithms curve25519-sha256,ecdh-sha2-nistp521,ecdh-sha2-nistp384,diffie-hellman-group16-sha512
  HostKeyAlgorithms ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,ssh-ed25519,rsa-sha2-256,rsa-sha2-512
  RequiredRSASize 3072`,
];

function block(): string {
  // ProxyCommand, as the blocks of ssh-config have it.
  const relay = `const s = require('node:net').connect(${fixture.tcpPort}, '127.0.0.1');
    process.stdin.pipe(s).pipe(process.stdout)`.replaceAll(/\n\s*/g, ' ');
  const proxyCommand = [process.execPath, '-e', relay];
  return sshHostBlock({ ...kept, name: 'web-1', via: { proxyCommand } });
}

/** In a home of its own, which nothing else configures. */
async function sshWith(name: string, config: string, ...args: string[]): Promise<Ran> {
  const home = join(directory, name.replaceAll(/[^\w]+/g, '-').slice(0, 40));
  mkdirSync(home, { recursive: true });
  const file = join(home, 'config');
  writeFileSync(file, config);
  return fixture.run('/usr/bin/ssh', '-F', file, ...args, 'web-1', 'echo in');
}

const everywhere = (settings: string): string =>
  `Host *\n${settings
    .split('\n')
    .map((line) => `  ${line.trim()}`)
    .join('\n')}\n`;

describe('the block of ssh-config holds against settings for all hosts that come after it', () => {
  test.each([...USUAL, ...POLICIES])('%s', async (settings) => {
    const ran = await sshWith(settings, `${block()}${everywhere(settings)}`);
    expect(ran).toMatchObject({ status: 0, stdout: 'in\n' });
  });
});

describe('settings that come before the block pass as well, as far as they are safe and can be served', () => {
  test.each([
    ...USUAL.filter((setting) => /^KexAlgorithms (?!sntrup|.*exchange)/.test(setting)),
    ...USUAL.filter((setting) => /^(HostKeyAlgorithms|MACs)/.test(setting)),
    ...USUAL.filter((setting) => /^Ciphers (?![\s\S]*(?:cbc|umac))/.test(setting)),
    'PubkeyAcceptedAlgorithms rsa-sha2-512',
    'PubkeyAcceptedAlgorithms rsa-sha2-256',
    'PubkeyAcceptedAlgorithms ssh-ed25519',
    ...POLICIES,
  ])('%s', async (settings) => {
    const ran = await sshWith(settings, `${everywhere(settings)}${block()}`);
    expect(ran).toMatchObject({ status: 0, stdout: 'in\n' });
  });
});

describe('what is not safe stays refused', () => {
  test.each([
    'KexAlgorithms diffie-hellman-group14-sha1',
    'KexAlgorithms diffie-hellman-group1-sha1',
    'KexAlgorithms diffie-hellman-group-exchange-sha1',
    'HostKeyAlgorithms ssh-rsa',
    'HostKeyAlgorithms ssh-dss',
    'Ciphers aes256-cbc',
    'Ciphers 3des-cbc',
    'Ciphers aes256-ctr\nMACs hmac-sha1',
    'Ciphers aes256-ctr\nMACs hmac-md5',
    'Ciphers aes256-ctr\nMACs hmac-sha1-etm@openssh.com',
  ])('%s', async (settings) => {
    const ran = await sshWith(settings, `${everywhere(settings)}${block()}`);
    expect(ran.stderr).toContain('Unable to negotiate');
    expect(ran.status).toBe(255);
  });
});

/** Signs a login with RSA and this hash, as the client does that ssh2 hands to its server. */
function rsaLogin(hashAlgo: 'sha512' | undefined): LoginStep['type'] {
  const key = kept.userKeys[2];
  const parsed = ssh2.utils.parseKey(key?.privateKey.expose() ?? '');
  if (key === undefined || parsed instanceof Error) {
    throw new TypeError('there is no RSA key');
  }
  const blob = Buffer.from('what is signed');
  const attempt = {
    method: 'publickey',
    username: 'hoop',
    key: { algo: 'ssh-rsa', data: publicKeyBytes(key) },
    hashAlgo,
    blob,
    signature: parsed.sign(blob, hashAlgo),
    reject: () => undefined,
  };
  // The fields that LoginTries reads.
  return new LoginTries(kept.userKeys).next(attempt as unknown as AuthContext).type;
}

test('a login with RSA needs SHA-2: one with SHA-1 is answered like a wrong key', () => {
  expect(rsaLogin('sha512')).toBe('right');
  expect(rsaLogin(undefined)).toBe('answered');
});

test('a library with the algorithms and key formats of JSch 0.1.55 gets in', async () => {
  const [userKey] = kept.userKeys;
  expect(userKey?.privateKey.expose()).toContain('-----BEGIN EC PRIVATE KEY-----');
  const { ready, client } = connected({
    privateKey: userKey?.privateKey.expose() ?? '',
    algorithms: {
      kex: ['ecdh-sha2-nistp256', 'ecdh-sha2-nistp384', 'diffie-hellman-group14-sha1'],
      serverHostKey: ['ssh-rsa', 'ssh-dss', 'ecdsa-sha2-nistp256'],
      cipher: ['aes128-ctr', 'aes128-cbc', '3des-cbc'],
      hmac: ['hmac-md5', 'hmac-sha1', 'hmac-sha2-256'],
    },
  });
  await ready;
  client.end();
});

function connected(options: ConnectConfig) {
  const client = new ssh2.Client();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  client.on('ready', resolve).on('error', reject);
  client.connect({ host: '127.0.0.1', port: fixture.tcpPort, username: 'hoop', ...options });
  return { ready: promise, client };
}
