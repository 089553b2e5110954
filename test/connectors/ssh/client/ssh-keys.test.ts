import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readSshKeys } from '../../../../src/connectors/ssh/client/kept-ssh-keys.ts';
import { generateSshKeys, publicKeyBytes } from '../../../../src/connectors/ssh/client/ssh-keys.ts';

test('every key is whole, also those with zeros at their ends, and is read back as it was', () => {
  for (let i = 0; i < 1500; i += 1) {
    const made = generateSshKeys();
    // 4 + 11 for the name, 4 + 32 for the point.
    expect(publicKeyBytes(made)).toHaveLength(51);
    expect(readSshKeys(made.privateKey.expose(), 'file').publicKey).toBe(made.publicKey);
  }
});

test('ssh-keygen reads the private key and finds the same public key in it', () => {
  const directory = mkdtempSync(join(tmpdir(), 'hoop-keys-'));
  try {
    const made = generateSshKeys();
    const file = join(directory, 'id');
    writeFileSync(file, made.privateKey.expose(), { mode: 0o600 });
    const shown = execFileSync('ssh-keygen', ['-y', '-f', file], { encoding: 'utf8' });
    expect(shown.trim()).toBe(made.publicKey);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
