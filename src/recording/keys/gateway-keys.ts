/**
 * The gateway's own keys: a root that signs the keyring, a session CA of 90 days and the key that
 * countersigns. The root key may be kept offline: it is needed only to make a new keyring.
 */
import { createPrivateKey } from 'node:crypto';
import { join } from 'node:path';
import { HoopError } from '../../errors.ts';
import { fromUtf8, sameBytes } from '../formats/encoding.ts';
import { generateSigningKey, keyId, type SigningKey, signingKeyFrom } from './ed25519.ts';
import { type Keyring, type KeyringKey, openKeyring, signKeyring } from './keyring.ts';
import { readPrivateFile, writePrivateFile } from './private-file.ts';

const DAY_MS = 86_400_000;
const SESSION_CA_DAYS = 90;
const GATEWAY_KEY_DAYS = 365;
const KEYRING_DAYS = 365;
/** Renewed this long before the end, so that a week of holidays does not end all sessions. */
const RENEW_DAYS = 10;
/** Clients whose clocks are behind must not see a key that is not valid yet. */
const CLOCK_SKEW_MS = 5 * 60_000;

export interface GatewayKeys {
  readonly gateway: string;
  /** 32 raw bytes. */
  readonly root: Uint8Array;
  /** The note's text. */
  readonly keyring: string;
  readonly keyringVersion: number;
  readonly sessionCa: SigningKey;
  readonly gatewayKey: SigningKey;
  /** Whether this call made them: the first start. */
  readonly created: boolean;
}

export interface GatewayKeysOptions {
  readonly directory: string;
  readonly gateway: string;
  readonly nowMs: number;
}

/**
 * Loads the keys, makes them at the first start, and renews those that are about to end.
 * @throws HoopError HOOP_CONFIG: files that others can read, or that do not belong together
 */
export function openGatewayKeys(options: GatewayKeysOptions): GatewayKeys {
  const stored = loadStored(options);
  if (stored === undefined) {
    return createKeys(options);
  }
  return isDue(stored, options.nowMs) ? renew(stored, options) : stored;
}

function createKeys({ directory, gateway, nowMs }: GatewayKeysOptions): GatewayKeys {
  const root = loadKey(directory, 'root') ?? createKey(directory, 'root');
  const sessionCa = createKey(directory, 'session-ca');
  const gatewayKey = createKey(directory, 'gateway');
  const keys = [
    listed('session-ca', sessionCa, nowMs, SESSION_CA_DAYS),
    listed('gateway', gatewayKey, nowMs, GATEWAY_KEY_DAYS),
  ];
  const keyring = writeKeyring(directory, newKeyring(gateway, 1, keys, nowMs), root);
  return {
    gateway,
    root: root.publicKey,
    keyring,
    keyringVersion: 1,
    sessionCa,
    gatewayKey,
    created: true,
  };
}

function loadStored({ directory, gateway }: GatewayKeysOptions): GatewayKeys | undefined {
  const keyringBytes = readPrivateFile(join(directory, 'keyring.note'));
  if (keyringBytes === undefined) {
    return undefined;
  }
  const keyring = fromUtf8(keyringBytes, 'the keyring');
  const root = loadRootPublic(directory);
  const sessionCa = loadKey(directory, 'session-ca');
  const gatewayKey = loadKey(directory, 'gateway');
  if (sessionCa === undefined || gatewayKey === undefined) {
    throw new HoopError('HOOP_CONFIG', `a key file is missing in "${directory}"`, {
      hint: 'Restore session-ca.key and gateway.key from the backup.',
    });
  }
  const opened = openKeyring(keyring, root);
  if (opened.gateway !== gateway) {
    throw new HoopError('HOOP_CONFIG', `the keys belong to gateway "${opened.gateway}"`, {
      detail: `The configuration names it "${gateway}"; clients have pinned the other name.`,
      hint: 'Restore the gateway’s old name, or start with an empty data directory.',
    });
  }
  for (const [use, key] of [
    ['session-ca', sessionCa],
    ['gateway', gatewayKey],
  ] as const) {
    if (!opened.keys.some((k) => k.use === use && sameBytes(k.publicKey, key.publicKey))) {
      throw new HoopError('HOOP_CONFIG', `${use}.key is not in the keyring`, {
        hint: 'Restore all files of the keys directory from the same backup.',
      });
    }
  }
  const keyringVersion = opened.version;
  return { gateway, root, keyring, keyringVersion, sessionCa, gatewayKey, created: false };
}

function isDue(stored: GatewayKeys, nowMs: number): boolean {
  const keyring = openKeyring(stored.keyring, stored.root);
  return (
    keyring.expiresMs - nowMs < RENEW_DAYS * DAY_MS ||
    keyring.issuedMs > nowMs ||
    isEnding(keyring, stored.sessionCa, nowMs) ||
    isEnding(keyring, stored.gatewayKey, nowMs)
  );
}

/**
 * Replaces what is about to end. The keyring is written first: it lists old and new keys, so it
 * fits whichever key files a crash leaves behind.
 */
function renew(
  stored: GatewayKeys,
  { directory, gateway, nowMs }: GatewayKeysOptions,
): GatewayKeys {
  const root = loadKey(directory, 'root');
  const { issuedMs } = openKeyring(stored.keyring, stored.root);
  if (root === undefined && issuedMs > nowMs) {
    const [issued, now] = [issuedMs, nowMs].map((ms) => new Date(ms).toISOString());
    throw new HoopError('HOOP_CONFIG', 'the keyring is not valid yet: a clock was or is wrong', {
      detail: `It was issued at ${issued}, and this machine’s clock says ${now}.`,
      hint: `Set the clock. If it was ahead when the keyring was made, put root.key back into "${directory}" and start the gateway once.`,
    });
  }
  if (root === undefined) {
    throw new HoopError('HOOP_CONFIG', 'the keyring is about to expire', {
      detail: 'A new one must be signed by the root key, which is not in the keys directory.',
      hint: `Put root.key back into "${directory}" and start the gateway once.`,
    });
  }
  const old = openKeyring(stored.keyring, stored.root);
  const sessionCa = isEnding(old, stored.sessionCa, nowMs)
    ? generateSigningKey()
    : stored.sessionCa;
  const gatewayKey = isEnding(old, stored.gatewayKey, nowMs)
    ? generateSigningKey()
    : stored.gatewayKey;
  const added: KeyringKey[] = [];
  if (sessionCa !== stored.sessionCa) {
    added.push(listed('session-ca', sessionCa, nowMs, SESSION_CA_DAYS));
  }
  if (gatewayKey !== stored.gatewayKey) {
    added.push(listed('gateway', gatewayKey, nowMs, GATEWAY_KEY_DAYS));
    // Sessions that were certified with it and are not settled yet are still signed with it.
    writeKey(join(directory, RETIRED), keyId(stored.gatewayKey.publicKey), stored.gatewayKey);
  }
  const version = old.version + 1;
  const keys = [...old.keys, ...added];
  const keyring = writeKeyring(directory, newKeyring(gateway, version, keys, nowMs), root);
  writeKey(directory, 'session-ca', sessionCa);
  writeKey(directory, 'gateway', gatewayKey);
  return { ...stored, keyring, keyringVersion: version, sessionCa, gatewayKey };
}

const RETIRED = 'retired';

/** The key of `publicKey` when it has been replaced since; undefined: never ours, or deleted. */
export function retiredGatewayKey(
  directory: string,
  publicKey: Uint8Array,
): SigningKey | undefined {
  return loadKey(join(directory, RETIRED), keyId(publicKey));
}

/** Or not valid yet: it was made while the clock was ahead, and nobody would take what it signs. */
function isEnding(keyring: Keyring, { publicKey }: SigningKey, nowMs: number): boolean {
  const own = keyring.keys.filter((key) => sameBytes(key.publicKey, publicKey));
  return !own.some(
    (key) => key.notBeforeMs <= nowMs && key.notAfterMs - nowMs >= RENEW_DAYS * DAY_MS,
  );
}

function newKeyring(
  gateway: string,
  version: number,
  keys: readonly KeyringKey[],
  nowMs: number,
): Keyring {
  const issuedMs = nowMs - CLOCK_SKEW_MS;
  return { gateway, version, issuedMs, expiresMs: nowMs + KEYRING_DAYS * DAY_MS, keys };
}

function listed(use: KeyringKey['use'], key: SigningKey, nowMs: number, days: number): KeyringKey {
  return {
    use,
    publicKey: key.publicKey,
    notBeforeMs: nowMs - CLOCK_SKEW_MS,
    notAfterMs: nowMs + days * DAY_MS,
  };
}

function writeKeyring(directory: string, keyring: Keyring, root: SigningKey): string {
  const note = signKeyring(keyring, root);
  writePrivateFile(join(directory, 'root.pub'), Buffer.from(root.publicKey).toString('base64'));
  writePrivateFile(join(directory, 'keyring.note'), note);
  return note;
}

/** root.pub stays when root.key is taken offline. */
function loadRootPublic(directory: string): Uint8Array {
  const text = readPrivateFile(join(directory, 'root.pub'));
  if (text === undefined) {
    throw new HoopError('HOOP_CONFIG', `root.pub is missing in "${directory}"`, {
      hint: 'Restore all files of the keys directory from the same backup.',
    });
  }
  return Buffer.from(fromUtf8(text, 'root.pub'), 'base64');
}

function createKey(directory: string, name: string): SigningKey {
  const key = generateSigningKey();
  writeKey(directory, name, key);
  return key;
}

function writeKey(directory: string, name: string, key: SigningKey): void {
  const pem = key.privateKey.export({ format: 'pem', type: 'pkcs8' });
  writePrivateFile(join(directory, `${name}.key`), pem);
}

function loadKey(directory: string, name: string): SigningKey | undefined {
  const path = join(directory, `${name}.key`);
  const pem = readPrivateFile(path);
  if (pem === undefined) {
    return undefined;
  }
  try {
    return signingKeyFrom(createPrivateKey(Buffer.from(pem)));
  } catch (cause) {
    throw new HoopError('HOOP_CONFIG', `"${path}" is not an Ed25519 private key`, { cause });
  }
}
