/**
 * The gateway's current keys, signed by its root. A text note, so that people can read it:
 *
 *     hoop-keyring/v1
 *     gateway <name>
 *     version <n>
 *     issued <RFC 3339>
 *     expires <RFC 3339>
 *     key <session-ca|gateway> <base64 public key> <not before> <not after>
 *
 * Keys that have been replaced stay listed: what they signed in their time must stay verifiable.
 */
import { HoopError } from '../../errors.ts';
import { FormatError } from '../../format-error.ts';
import { sameBytes, toBase64, utf8 } from '../formats/encoding.ts';
import { decodeNote, isNoteSignedBy, signNote } from '../formats/signed-note.ts';
import { publicKeyFromBase64, type SigningKey } from './ed25519.ts';

export interface Keyring {
  readonly gateway: string;
  readonly version: number;
  readonly issuedMs: number;
  readonly expiresMs: number;
  readonly keys: readonly KeyringKey[];
}

export type KeyUse = 'session-ca' | 'gateway';

export interface KeyringKey {
  readonly use: KeyUse;
  /** 32 raw bytes. */
  readonly publicKey: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

const FIRST_LINE = 'hoop-keyring/v1';
const MAX_KEYS = 1000;

export function signKeyring(keyring: Keyring, root: SigningKey): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(keyring.gateway)) {
    throw new RangeError('a gateway name has letters, digits, ".", "_" and "-" only');
  }
  const lines = [
    FIRST_LINE,
    `gateway ${keyring.gateway}`,
    `version ${keyring.version}`,
    `issued ${timestamp(keyring.issuedMs)}`,
    `expires ${timestamp(keyring.expiresMs)}`,
    ...keyring.keys.map(
      (key) =>
        `key ${key.use} ${toBase64(key.publicKey)} ${timestamp(key.notBeforeMs)} ${timestamp(key.notAfterMs)}`,
    ),
  ];
  return signNote(`${lines.join('\n')}\n`, rootKeyName(keyring.gateway), root);
}

/**
 * Checks the root's signature and reads the note. Expiry and version are the caller's to check:
 * what is too old depends on whether one connects now or verifies what was recorded then.
 * @throws HoopError HOOP_VERIFY_UNTRUSTED when the root did not sign it; FormatError
 */
export function openKeyring(text: string, rootKey: Uint8Array): Keyring {
  const note = decodeNote(utf8(text));
  const keyring = parseKeyring(note.text);
  if (!isNoteSignedBy(note, rootKeyName(keyring.gateway), rootKey)) {
    throw new HoopError('HOOP_VERIFY_UNTRUSTED', 'keyring is not signed by the pinned root key');
  }
  return keyring;
}

/** Reads who a keyring says it is from, without believing it: to find the root key to check with. */
export function readKeyringUnverified(text: string): Keyring {
  return parseKeyring(decodeNote(utf8(text)).text);
}

/** Whether `publicKey` is listed for `use` and was valid at `timeMs`. */
export function isListed(
  keyring: Keyring,
  use: KeyUse,
  publicKey: Uint8Array,
  timeMs: number,
): boolean {
  return keyring.keys.some(
    (key) =>
      key.use === use &&
      sameBytes(key.publicKey, publicKey) &&
      key.notBeforeMs <= timeMs &&
      timeMs <= key.notAfterMs,
  );
}

function rootKeyName(gateway: string): string {
  return `${gateway}/root`;
}

function parseKeyring(text: string): Keyring {
  const lines = text.slice(0, -1).split('\n');
  const [first, gateway, version, issued, expires, ...keys] = lines;
  if (first !== FIRST_LINE || keys.length > MAX_KEYS) {
    throw new FormatError('keyring has an unknown form');
  }
  const keyring = {
    gateway: field(gateway, 'gateway'),
    version: number(field(version, 'version')),
    issuedMs: time(field(issued, 'issued')),
    expiresMs: time(field(expires, 'expires')),
    keys: keys.map(parseKey),
  };
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(keyring.gateway)) {
    throw new FormatError('keyring has a gateway name that is not allowed');
  }
  return keyring;
}

function parseKey(line: string): KeyringKey {
  const [word, use, publicKey, notBefore, notAfter, ...more] = line.split(' ');
  if (
    word !== 'key' ||
    (use !== 'session-ca' && use !== 'gateway') ||
    publicKey === undefined ||
    more.length > 0
  ) {
    throw new FormatError('keyring has a malformed key line');
  }
  return {
    use,
    publicKey: publicKeyFromBase64(publicKey, 'a key of the keyring'),
    notBeforeMs: time(notBefore),
    notAfterMs: time(notAfter),
  };
}

function field(line: string | undefined, name: string): string {
  const prefix = `${name} `;
  if (!line?.startsWith(prefix)) {
    throw new FormatError(`keyring has no "${name}" where it belongs`);
  }
  return line.slice(prefix.length);
}

function number(text: string): number {
  if (!/^[1-9][0-9]{0,14}$/.test(text)) {
    throw new FormatError('keyring has a malformed number');
  }
  return Number(text);
}

function time(text: string | undefined): number {
  const ms = Date.parse(text ?? '');
  if (Number.isNaN(ms) || timestamp(ms) !== text) {
    throw new FormatError('keyring has a malformed time');
  }
  return ms;
}

/** Whole seconds: people read it. */
function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');
}
