/**
 * What a frame commits to besides its header; it stands in the clear at the end of that header:
 *
 *     C = "hoop/frame/v2\0"
 *     place = u32 stream ‖ u8 direction ‖ u64 offset ‖ u32 length
 *     DATA        SHA256(C ‖ u8 1 ‖ place)
 *     all others  SHA256(C ‖ u8 type ‖ salt ‖ body)
 *     GROUP       SHA256(C ‖ u8 6 ‖ E ‖ u32 n ‖ for each record: u8 1 ‖ place, or u8 2)
 *                 E = SHA256("hoop/events/v2\0" ‖ salt ‖ for each event: u32 length ‖ body),
 *                 32 zeros without events
 *
 *     salt = 32 bytes of AES-256-CTR(L) of zeros, from counter block u64 0 ‖ u64 2·seq on
 *     L = HKDF-SHA256(data key, salt none, info "hoop/event-key/v2")
 *
 * The content of DATA is in the leaves; its digest says where it stands among the events. Without the
 * salt, events that are withheld could be guessed; L and not K, because the client knows K, and sees a
 * head with each cut. One salt for each frame, since events are withheld by frame.
 */
import { createCipheriv, hash, hkdfSync } from 'node:crypto';
import { DATA_PREFIX_LENGTH, decodeDataBody, writeDataPrefix } from './data-body.ts';
import { utf8 } from './encoding.ts';
import { FRAME_TYPES, type FrameType } from './frame.ts';
import { decodeGroup } from './group-body.ts';
import { HASH_LENGTH } from './merkle-tree.ts';
import type { Direction } from './types.ts';

const CONTEXT = utf8('hoop/frame/v2\0');
const EVENTS_CONTEXT = utf8('hoop/events/v2\0');
const PLACE_LENGTH = DATA_PREFIX_LENGTH + 4;
const SALT_LENGTH = 32;
/** Made at once: a cipher of its own would cost each more than the hash that it goes into. */
const SALTS = 64;
const ZEROS = Buffer.alloc(SALTS * SALT_LENGTH);

export interface DataPlace {
  readonly stream: number;
  readonly direction: Direction;
  readonly offset: number;
  readonly length: number;
}

/** A record of a frame: where data lies, or the whole body of anything else. */
export type Committed =
  | { readonly type: 'data'; readonly place: DataPlace }
  | { readonly type: Exclude<FrameType, 'data' | 'group'>; readonly body: Uint8Array };

/** L: from it the salts of all that is not data. */
export function eventKeyOf(dataKey: Uint8Array): Uint8Array {
  return Buffer.from(hkdfSync('sha256', dataKey, '', 'hoop/event-key/v2', HASH_LENGTH));
}

/**
 * Two for each turn: hashes go from one buffer to the next as strings of bytes, since a buffer of its
 * own costs Node more than the hash of a few bytes.
 */
export class FrameDigests {
  readonly #eventKey: Uint8Array;
  /** Of the frames from `#firstSalt` on. */
  #salts: Buffer = ZEROS;
  #firstSalt = -SALTS;

  /** @param eventKey L, 32 bytes */
  constructor(eventKey: Uint8Array) {
    this.#eventKey = eventKey;
  }

  /** @param records of a group all of them, else the only one */
  of(type: FrameType, seq: number, records: readonly Committed[]): Uint8Array {
    if (type === 'group') {
      return bytesOf(this.#ofGroup(seq, records));
    }
    const [only] = records;
    if (records.length !== 1 || only?.type !== type) {
      throw new TypeError('only a group has other records than itself');
    }
    if (only.type === 'data') {
      const whole = Buffer.allocUnsafe(CONTEXT.length + 1 + PLACE_LENGTH);
      writePlace(whole, startOf(whole, type), only.place);
      return bytesOf(hashOf(whole));
    }
    const { body } = only;
    const whole = Buffer.allocUnsafe(CONTEXT.length + 1 + SALT_LENGTH + body.length);
    const at = startOf(whole, type);
    whole.set(this.salt(seq), at);
    whole.set(body, at + SALT_LENGTH);
    return bytesOf(hashOf(whole));
  }

  /** Of a frame as it was recorded. @param body the whole plain body. @throws FormatError */
  ofBody(type: FrameType, seq: number, body: Uint8Array): Uint8Array {
    return this.of(type, seq, recordsOf(type, body));
  }

  #ofGroup(seq: number, records: readonly Committed[]): string {
    const whole = Buffer.allocUnsafe(
      CONTEXT.length + 5 + HASH_LENGTH + records.length * (1 + PLACE_LENGTH),
    );
    const start = startOf(whole, 'group');
    let at = whole.writeUInt32BE(records.length, start + HASH_LENGTH);
    let eventBytes = 0;
    for (const record of records) {
      at = whole.writeUInt8(FRAME_TYPES[record.type], at);
      if (record.type === 'data') {
        at = writePlace(whole, at, record.place);
      } else if (record.type === 'event') {
        eventBytes += 4 + record.body.length;
      } else {
        throw new TypeError('a group has data and events');
      }
    }
    if (eventBytes === 0) {
      whole.fill(0, start, start + HASH_LENGTH);
    } else {
      whole.write(this.#ofEvents(seq, records, eventBytes), start, 'latin1');
    }
    return hashOf(whole.subarray(0, at));
  }

  /** E. */
  #ofEvents(seq: number, records: readonly Committed[], eventBytes: number): string {
    const whole = Buffer.allocUnsafe(EVENTS_CONTEXT.length + SALT_LENGTH + eventBytes);
    whole.set(EVENTS_CONTEXT);
    whole.set(this.salt(seq), EVENTS_CONTEXT.length);
    let at = EVENTS_CONTEXT.length + SALT_LENGTH;
    for (const record of records) {
      if (record.type !== 'data') {
        at = whole.writeUInt32BE(record.body.length, at);
        whole.set(record.body, at);
        at += record.body.length;
      }
    }
    return hashOf(whole);
  }

  /** Of one frame, 32 bytes; a view. */
  salt(seq: number): Uint8Array {
    if (seq < this.#firstSalt || seq >= this.#firstSalt + SALTS) {
      this.#firstSalt = seq - (seq % SALTS);
      // Two blocks for each salt: seq is below 2^53, so the number of the block is below 2^54.
      const counter = Buffer.alloc(16);
      counter.writeBigUInt64BE(2n * BigInt(this.#firstSalt), 8);
      this.#salts = createCipheriv('aes-256-ctr', this.#eventKey, counter).update(ZEROS);
    }
    const at = (seq - this.#firstSalt) * SALT_LENGTH;
    return this.#salts.subarray(at, at + SALT_LENGTH);
  }
}

/** @returns where it ends */
function writePlace(whole: Buffer, at: number, place: DataPlace): number {
  writeDataPrefix(whole, at, place.stream, place.direction, place.offset);
  return whole.writeUInt32BE(place.length, at + DATA_PREFIX_LENGTH);
}

function bytesOf(hashed: string): Uint8Array {
  return Buffer.from(hashed, 'latin1');
}

function hashOf(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'binary');
}

/** @throws FormatError */
function recordsOf(type: FrameType, body: Uint8Array): Committed[] {
  switch (type) {
    case 'data': {
      const { bytes, ...place } = decodeDataBody(body);
      return [{ type, place: { ...place, length: bytes.length } }];
    }
    case 'group':
      return decodeGroup(body).map((record) =>
        record.type === 'data'
          ? { type: 'data', place: { ...record.data, length: record.length } }
          : record,
      );
    default:
      return [{ type, body }];
  }
}

function startOf(whole: Buffer, type: FrameType): number {
  whole.set(CONTEXT);
  return whole.writeUInt8(FRAME_TYPES[type], CONTEXT.length);
}
