import { createPrivateKey, generateKeyPairSync, hkdfSync, randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SealedJson } from '../../../src/gateway/approvals/sealed-json.ts';
import { RefreshHandles } from '../../../src/gateway/identity/tokens/refresh-handle.ts';
import { openGatewaySecrets } from '../../../src/gateway/start/gateway-secrets.ts';
import { Secret } from '../../../src/secret.ts';

const gatewayKey = generateKeyPairSync('ed25519').privateKey;
const HANDLE = { family: 'f'.repeat(22), generation: 3 };
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-secrets-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** As the gateway used one key for several things before. */
function derivedBefore(from: Uint8Array, use: string): Secret<Uint8Array> {
  return new Secret(new Uint8Array(hkdfSync('sha256', from, '', use, 32)));
}

test('each secret has a use of its own, and is the same at the next start', () => {
  const first = openGatewaySecrets(directory, { gatewayKey, isNew: true });
  const again = openGatewaySecrets(directory, { gatewayKey, isNew: false });
  expect(again.tokens.equals(first.tokens)).toBe(true);
  expect(again.tokens.equals(gatewayKey)).toBe(false);
  const all = [first.mask, first.approvals, first.handles].map((secret) =>
    Buffer.from(secret.expose()).toString('hex'),
  );
  expect(new Set(all).size).toBe(3);
  expect([again.mask, again.approvals, again.handles].map((s) => s.expose())).toEqual(
    all.map((hex) => Buffer.from(hex, 'hex')),
  );
});

test('of a directory from before, logins go on and what waits can be read', () => {
  const mask = randomBytes(32);
  writeFileSync(join(directory, 'mask.key'), mask, { mode: 0o600 });
  const der = gatewayKey.export({ type: 'pkcs8', format: 'der' });
  const handle = new RefreshHandles(derivedBefore(der, 'hoop/refresh-handle/v1')).encode(HANDLE);
  const sealed = new SealedJson(derivedBefore(mask, 'hoop/approval-details/v1')).seal('x', 'id');
  const { handles, approvals } = openGatewaySecrets(directory, { gatewayKey, isNew: false });
  expect(new RefreshHandles(handles).decode(handle)).toEqual(HANDLE);
  expect(new SealedJson(approvals).open(sealed, 'id')).toBe('x');
  // And no longer by the key of recordings: another one ends no login.
  const renewed = generateKeyPairSync('ed25519').privateKey;
  const later = openGatewaySecrets(directory, { gatewayKey: renewed, isNew: false });
  expect(new RefreshHandles(later.handles).decode(handle)).toEqual(HANDLE);
});

test('a file that holds no key, or that others can read, is refused by name', () => {
  const { tokens } = openGatewaySecrets(directory, { gatewayKey, isNew: true });
  expect(createPrivateKey(readFileSync(join(directory, 'tokens.key'))).equals(tokens)).toBe(true);
  const open = () => openGatewaySecrets(directory, { gatewayKey, isNew: false });
  chmodSync(join(directory, 'handles.key'), 0o644);
  expect(open).toThrow(/handles\.key" can be read by others/);
  writeFileSync(join(directory, 'handles.key'), 'short');
  chmodSync(join(directory, 'handles.key'), 0o600);
  expect(open).toThrow(/handles\.key" does not contain a key/);
  rmSync(join(directory, 'handles.key'));
  writeFileSync(join(directory, 'tokens.key'), 'none');
  expect(open).toThrow(/tokens\.key" does not contain a key/);
});
