/**
 * C2SP signed notes with Ed25519 signatures. https://c2sp.org/signed-note
 *
 *     text, ends in \n
 *     (empty line)
 *     — <key name> <base64 of key id [4] ‖ signature [64]>
 */
import { createHash } from 'node:crypto';
import { FormatError } from '../../format-error.ts';
import { SIGNATURE_LENGTH, type SigningKey, signEd25519, verifyEd25519 } from '../keys/ed25519.ts';
import { fromBase64, fromUtf8, toBase64, utf8 } from './encoding.ts';

/** The spec's advice for servers: bound the size before parsing. */
const MAX_NOTE_BYTES = 1 << 20;
const MAX_SIGNATURES = 16;
const KEY_ID_LENGTH = 4;
const ED25519 = 0x01;
const SIGNATURE_PREFIX = '— ';

export interface SignedNote {
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

interface NoteSignature {
  readonly name: string;
  readonly keyId: Uint8Array;
  /** After the key id. Of a length that only the key's type knows. */
  readonly signature: Uint8Array;
}

/** SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key)[:4] */
function noteKeyId(name: string, publicKey: Uint8Array): Uint8Array {
  const digest = createHash('sha256').update(`${name}\n`).update(Uint8Array.of(ED25519));
  return digest.update(publicKey).digest().subarray(0, KEY_ID_LENGTH);
}

export function signNote(text: string, name: string, key: SigningKey): string {
  checkText(text);
  checkName(name);
  const signature = Buffer.concat([noteKeyId(name, key.publicKey), signEd25519(key, utf8(text))]);
  return `${text}\n${SIGNATURE_PREFIX}${name} ${toBase64(signature)}\n`;
}

/** Checks the form only; no signature is verified. @throws FormatError */
export function decodeNote(bytes: Uint8Array): SignedNote {
  if (bytes.length > MAX_NOTE_BYTES) {
    throw new FormatError('the note is too large');
  }
  const whole = fromUtf8(bytes, 'the note');
  const split = whole.lastIndexOf('\n\n');
  if (split < 0 || !whole.endsWith('\n')) {
    throw new FormatError('the note has no signature block');
  }
  const text = whole.slice(0, split + 1);
  checkText(text);
  const lines = whole.slice(split + 2, -1).split('\n');
  if (lines.length > MAX_SIGNATURES) {
    throw new FormatError('the note has too many signatures');
  }
  return { text, signatures: lines.map(decodeSignature) };
}

/** Whether `name` signed the note with this key. Other signatures are ignored, as the spec asks. */
export function isNoteSignedBy(note: SignedNote, name: string, publicKey: Uint8Array): boolean {
  const id = noteKeyId(name, publicKey);
  return note.signatures.some(
    (entry) =>
      entry.name === name &&
      Buffer.compare(entry.keyId, id) === 0 &&
      entry.signature.length === SIGNATURE_LENGTH &&
      verifyEd25519(publicKey, utf8(note.text), entry.signature),
  );
}

function decodeSignature(line: string): NoteSignature {
  if (!line.startsWith(SIGNATURE_PREFIX)) {
    throw new FormatError('the note has a malformed signature line');
  }
  const [name, encoded, ...more] = line.slice(SIGNATURE_PREFIX.length).split(' ');
  if (name === undefined || encoded === undefined || more.length > 0) {
    throw new FormatError('the note has a malformed signature line');
  }
  checkName(name);
  const bytes = fromBase64(encoded, 'a signature of the note');
  if (bytes.length <= KEY_ID_LENGTH) {
    throw new FormatError('the note has a signature that is too short');
  }
  return {
    name,
    keyId: bytes.subarray(0, KEY_ID_LENGTH),
    signature: bytes.subarray(KEY_ID_LENGTH),
  };
}

function checkText(text: string): void {
  if (!text.endsWith('\n') || /[\x00-\x09\x0b-\x1f]/.test(text) || !text.isWellFormed()) {
    throw new FormatError('the note has a text that the format does not allow');
  }
}

function checkName(name: string): void {
  if (name === '' || /[\s+\p{Cc}]/u.test(name)) {
    throw new FormatError('the note has a key name that the format does not allow');
  }
}
