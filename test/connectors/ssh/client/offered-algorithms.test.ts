/** What clients are offered that do not have AES-GCM, or not the rest: theirs decide, and nothing unsafe. */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { offeredTo } from '../../../../src/connectors/ssh/client/offered-algorithms.ts';
import { decodeKexInit } from '../../../../src/connectors/ssh/protocol/kex-init.ts';
import { SshPortFixture } from './ssh-client.ts';

let fixture: SshPortFixture;
beforeEach(async () => {
  fixture = await SshPortFixture.open();
});
afterEach(async () => {
  await fixture[Symbol.asyncDispose]();
});

const GCM = 'aes128-gcm@openssh.com';
const CHACHA = 'chacha20-poly1305@openssh.com';
const ETM = 'hmac-sha2-256-etm@openssh.com';

describe('what Terrapin can reach is not offered without strict key exchange', () => {
  test.each([
    ['with GCM nothing else', [CHACHA, 'aes128-ctr', GCM], true, [GCM, 'aes256-gcm@openssh.com']],
    ['with GCM, not strict', [CHACHA, GCM], false, [GCM, 'aes256-gcm@openssh.com']],
    [
      'without GCM, strict',
      [CHACHA, 'aes128-ctr'],
      true,
      [CHACHA, 'aes256-ctr', 'aes192-ctr', 'aes128-ctr'],
    ],
    [
      'without GCM, not strict',
      [CHACHA, 'aes128-ctr'],
      false,
      ['aes256-ctr', 'aes192-ctr', 'aes128-ctr'],
    ],
  ])('%s', (_, ciphers, isStrict, offered) => {
    const { cipher, mac } = offeredTo({ isStrict, ciphers: [ciphers, ciphers] });
    expect(cipher).toEqual(offered);
    expect(mac.includes(ETM)).toBe(offered.includes(CHACHA));
    expect(mac).toContain('hmac-sha2-256');
  });

  test('GCM in one direction only is not GCM', () => {
    const { cipher } = offeredTo({
      isStrict: false,
      ciphers: [[GCM, 'aes128-ctr'], ['aes128-ctr']],
    });
    expect(cipher).toEqual(['aes256-ctr', 'aes192-ctr', 'aes128-ctr']);
  });
});

describe('ssh(1) with other ciphers', () => {
  test.each([
    [GCM, '<implicit>'],
    [CHACHA, '<implicit>'],
    ['aes256-ctr', ETM],
    ['aes128-ctr', 'hmac-sha2-256'],
  ])('%s and %s: bytes both ways, and keys that are exchanged anew', async (cipher, mac) => {
    const macs = mac === '<implicit>' ? [] : ['-o', `MACs=${mac}`];
    const args = ['-v', '-o', `Ciphers=${cipher}`, ...macs, '-o', 'RekeyLimit=1M', 'web-1', 'cat'];
    const input = Buffer.alloc(3_000_000, 'bytes both ways ');
    const ran = await fixture.withInput(input, 'ssh', ...args);
    expect(ran.stdout === input.toString()).toBe(true);
    expect(ran.stderr).toContain(`cipher: ${cipher} MAC: ${mac}`);
    expect(ran.status).toBe(0);
  });

  test('whose first choice is another still has GCM', async () => {
    const ran = await fixture.ssh(
      '-v',
      '-o',
      `Ciphers=${CHACHA},aes128-ctr,${GCM}`,
      'web-1',
      'true',
    );
    expect(ran.stderr).toContain(`cipher: ${GCM} MAC: <implicit>`);
  });
});

/**
 * As Debian 12 has them, without AES-GCM: paramiko 2.12 (Python, Ansible), libssh2 1.10 (curl, PHP,
 * git2) without -etm, dropbear 2022.83 (routers, rescue systems).
 */
describe('clients without AES-GCM', () => {
  const at = (): string => String(fixture.tcpPort);
  const identity = (): string => fixture.files.identityFiles[0]?.[0] ?? '';

  test('paramiko', async () => {
    const program = [
      'import paramiko, sys',
      'client = paramiko.SSHClient()',
      'client.set_missing_host_key_policy(paramiko.AutoAddPolicy())',
      'client.connect("127.0.0.1", port=int(sys.argv[1]), username="hoop", key_filename=sys.argv[2],',
      '    allow_agent=False, look_for_keys=False)',
      'stdin, stdout, stderr = client.exec_command("wc -c; exit 7")',
      'stdin.write(b"x" * 300000); stdin.channel.shutdown_write()',
      'print(stdout.read().decode().strip(), stdout.channel.recv_exit_status(),',
      '    client.get_transport().remote_cipher)',
    ].join('\n');
    // Debian's, which its packages are for; PATH may have another.
    const ran = await fixture.run('/usr/bin/python3', '-c', program, at(), identity());
    expect(ran).toMatchObject({ status: 0, stdout: '300000 7 aes128-ctr\n' });
  });

  test('libssh2, with curl', async () => {
    const file = join(fixture.directory, 'file');
    writeFileSync(file, Buffer.alloc(300_000, 'what curl gets '));
    const identityFile = identity();
    const keys = ['--key', identityFile, '--pubkey', `${identityFile}.pub`];
    writeFileSync(`${identityFile}.pub`, fixture.keys.userKeys[0]?.publicKey ?? '');
    const url = `scp://hoop@127.0.0.1:${at()}${file}`;
    const ran = await fixture.run('curl', '-sS', '--insecure', ...keys, url);
    expect(ran.stdout === readFileSync(file, 'utf8')).toBe(true);
    expect(ran.status).toBe(0);
  });

  test('dropbear', async () => {
    const key = join(fixture.directory, 'dropbear-key');
    await fixture.run('dropbearconvert', 'openssh', 'dropbear', identity(), key);
    const args = ['-y', '-i', key, '-p', at(), 'hoop@127.0.0.1'];
    const ran = await fixture.withInput(
      Buffer.alloc(300_000),
      'dbclient',
      ...args,
      'wc -c; exit 7',
    );
    expect(ran).toMatchObject({ status: 7, stdout: '300000\n' });
    const plain = await fixture.run('dbclient', '-c', 'aes128-ctr', ...args, 'echo plain');
    expect(plain.stdout).toBe('plain\n');
  });
});

/** Packets of a connection before its keys: length, padding, payload. */
function payloadOf(bytes: Buffer): Buffer {
  const length = bytes.readUInt32BE(0);
  return bytes.subarray(5, 4 + length - (bytes[4] ?? 0));
}

test('who waits for our offer before making its own has it, with nothing that Terrapin can reach', async () => {
  const socket = connect(fixture.tcpPort, '127.0.0.1');
  let seen = Buffer.alloc(0);
  socket.on('data', (bytes) => {
    seen = Buffer.concat([seen, bytes]);
  });
  await once(socket, 'connect');
  socket.write('SSH-2.0-waits\r\n');
  await expect
    .poll(() => seen.indexOf('\r\n') > 0 && seen.length - seen.indexOf('\r\n') > 300)
    .toBe(true);
  const offer = payloadOf(seen.subarray(seen.indexOf('\r\n') + 2));
  expect(offer[0]).toBe(20);
  const text = offer.toString('latin1');
  expect(decodeKexInit(offer).ciphers[0]).toEqual([
    GCM,
    'aes256-gcm@openssh.com',
    'aes256-ctr',
    'aes192-ctr',
    'aes128-ctr',
  ]);
  expect(text).not.toContain('etm');
  expect(text).toContain('kex-strict-s-v00@openssh.com');
  socket.destroy();
});
