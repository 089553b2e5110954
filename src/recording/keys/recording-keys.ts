/**
 * The keys of one session: the data key that encrypts the gateway's file and the salt key K. They
 * are stored outside the recordings, wrapped by a key-encryption key of the week: to erase a
 * session, delete its record; to be sure that backups do not bring it back, destroy the week's key.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import * as z from 'zod';
import { HoopError } from '../../errors.ts';
import { isSessionId } from '../../session-id.ts';
import { canonicalJson, parseCanonicalJson } from '../formats/canonical-json.ts';
import { fromBase64, toBase64, utf8 } from '../formats/encoding.ts';
import { TAG_LENGTH } from '../formats/frame.ts';
import { parseShape } from '../formats/parse-shape.ts';
import { createPrivateFile, readPrivateFile, writePrivateFile } from './private-file.ts';

const KEY_LENGTH = 32;
const NONCE_LENGTH = 12;

export interface RecordingKeys {
  /** 32 bytes; never leaves the side that made it, except in a bundle. */
  readonly dataKey: Uint8Array;
  /** 32 bytes; shared with the client. */
  readonly saltKey: Uint8Array;
}

const Record = z.strictObject({
  v: z.literal(1),
  kek: z.string().regex(/^[0-9]{4}-W[0-9]{2}$/),
  nonce: z.string(),
  wrapped: z.string(),
});

export function newRecordingKeys(): RecordingKeys {
  return { dataKey: randomBytes(KEY_LENGTH), saltKey: randomBytes(KEY_LENGTH) };
}

/**
 * @param keysDir the gateway's keys; other nodes may use it, and have the same key of the week
 */
export function storeRecordingKeys(
  keysDir: string,
  session: string,
  keys: RecordingKeys,
  nowMs: number,
): void {
  const kek = weekOf(nowMs);
  const wrappingKey = createPrivateFile(join(keysDir, 'kek', `${kek}.key`), () =>
    randomBytes(KEY_LENGTH),
  );
  const nonce = randomBytes(NONCE_LENGTH);
  const cipher = createCipheriv('aes-256-gcm', wrappingKey, nonce);
  cipher.setAAD(aadFor(session, kek));
  const wrapped = Buffer.concat([
    cipher.update(keys.dataKey),
    cipher.update(keys.saltKey),
    cipher.final(),
    cipher.getAuthTag(),
  ]);
  const record = { v: 1, kek, nonce: toBase64(nonce), wrapped: toBase64(wrapped) };
  writePrivateFile(recordPath(keysDir, session), canonicalJson(record));
}

/** @throws HoopError HOOP_RECORDING_LOST: never recorded, or erased; HOOP_RECORDING_DAMAGED */
export function loadRecordingKeys(keysDir: string, session: string): RecordingKeys {
  const bytes = readPrivateFile(recordPath(keysDir, session));
  if (bytes === undefined) {
    throw new HoopError('HOOP_RECORDING_LOST', 'the keys of this recording are gone');
  }
  const what = 'the key record';
  const record = parseShape(Record, parseCanonicalJson(bytes, what), what);
  const wrappingKey = readPrivateFile(join(keysDir, 'kek', `${record.kek}.key`));
  if (wrappingKey === undefined) {
    throw new HoopError('HOOP_RECORDING_LOST', 'the keys of this recording have been destroyed');
  }
  const wrapped = fromBase64(record.wrapped, what, 2 * KEY_LENGTH + TAG_LENGTH);
  const decipher = createDecipheriv(
    'aes-256-gcm',
    wrappingKey,
    fromBase64(record.nonce, what, NONCE_LENGTH),
    { authTagLength: TAG_LENGTH },
  );
  decipher.setAAD(aadFor(session, record.kek));
  decipher.setAuthTag(wrapped.subarray(2 * KEY_LENGTH));
  try {
    const keys = Buffer.concat([
      decipher.update(wrapped.subarray(0, 2 * KEY_LENGTH)),
      decipher.final(),
    ]);
    return { dataKey: keys.subarray(0, KEY_LENGTH), saltKey: keys.subarray(KEY_LENGTH) };
  } catch (cause) {
    throw new HoopError('HOOP_RECORDING_DAMAGED', 'the key record was altered', { cause });
  }
}

/** false: never recorded, or erased, by itself or with the key of its week. */
export function hasRecordingKeys(keysDir: string, session: string): boolean {
  try {
    loadRecordingKeys(keysDir, session);
    return true;
  } catch (error) {
    if (error instanceof HoopError && error.code === 'HOOP_RECORDING_LOST') {
      return false;
    }
    throw error;
  }
}

function recordPath(keysDir: string, session: string): string {
  if (!isSessionId(session)) {
    throw new HoopError('HOOP_SESSION_UNKNOWN', 'not a session id');
  }
  return join(keysDir, 'sessions', `${session}.json`);
}

function aadFor(session: string, kek: string): Uint8Array {
  return utf8(`hoop/keys/v1\0${session}\0${kek}`);
}

/** ISO 8601 week, e.g. 2026-W47. */
function weekOf(ms: number): string {
  const date = new Date(ms);
  const weekday = (date.getUTCDay() + 6) % 7;
  const thursday = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()));
  thursday.setUTCDate(thursday.getUTCDate() - weekday + 3);
  const firstOfYear = Date.UTC(thursday.getUTCFullYear(), 0, 1);
  const week = 1 + Math.floor((thursday.getTime() - firstOfYear) / 604_800_000);
  return `${thursday.getUTCFullYear()}-W${String(week).padStart(2, '0')}`;
}
