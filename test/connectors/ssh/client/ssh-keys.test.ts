import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readSshKeys } from '../../../../src/connectors/ssh/client/kept-ssh-keys.ts';
import {
  generateRsaKeys,
  generateSshKeys,
  HOST_KEY_TYPES,
  publicKeyBytes,
  type SshKeyPair,
} from '../../../../src/connectors/ssh/client/ssh-keys.ts';

test('every Ed25519 key is whole, also with zeros at its ends, and is read back unchanged', () => {
  for (let i = 0; i < 1500; i += 1) {
    const made = generateSshKeys('ssh-ed25519');
    // 4 + 11 for the name, 4 + 32 for the point.
    expect(publicKeyBytes(made)).toHaveLength(51);
    const read = readSshKeys(made.privateKey.expose(), 'file', 'ssh-ed25519');
    expect(read.publicKey).toBe(made.publicKey);
  }
});

test('every ECDSA key is whole, also with zeros at its ends, and is read back unchanged', () => {
  for (let i = 0; i < 600; i += 1) {
    const made = generateSshKeys('ecdsa-sha2-nistp256');
    // 4 + 19 for the name, 4 + 8 for the curve, 4 + 1 + 2 * 32 for the point.
    expect(publicKeyBytes(made)).toHaveLength(104);
    const read = readSshKeys(made.privateKey.expose(), 'file', 'ecdsa-sha2-nistp256');
    expect(read.publicKey).toBe(made.publicKey);
  }
});

test.each([...HOST_KEY_TYPES, 'ssh-rsa' as const])(
  'ssh-keygen reads a private key of type %s and finds the same public key in it',
  async (type) => {
    const made: SshKeyPair = type === 'ssh-rsa' ? await generateRsaKeys() : generateSshKeys(type);
    const directory = mkdtempSync(join(tmpdir(), 'hoop-keys-'));
    try {
      const file = join(directory, 'id');
      writeFileSync(file, made.privateKey.expose(), { mode: 0o600 });
      const shown = execFileSync('ssh-keygen', ['-y', '-f', file], { encoding: 'utf8' });
      expect(shown.trim()).toBe(made.publicKey);
      const read = readSshKeys(made.privateKey.expose(), file, type);
      expect(read.publicKey).toBe(made.publicKey);
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
);
