/**
 * What a frame commits to besides its header; it stands in the clear at the end of that header:
 *
 *     C = "hoop/frame/v2\0"
 *     DATA        SHA256(C ‖ u8 1 ‖ u32 stream ‖ u8 direction ‖ u64 offset ‖ u32 length)
 *     all others  SHA256(C ‖ u8 type ‖ salt [32] ‖ body)
 *     GROUP       SHA256(C ‖ u8 6 ‖ u32 n ‖ the digests of its n records)
 *
 *     salt = HMAC-SHA256(L, "hoop/event-salt/v2\0" ‖ u64 seq ‖ u32 place in the group, 0 alone)
 *     L = HKDF-SHA256(data key, salt none, info "hoop/event-key/v2")
 *
 * The content of DATA is in the leaves; its digest says where it stands among the events. Without the
 * salt, events that are withheld could be guessed; L and not K, because the client knows K, and sees a
 * head with each cut.
 */
import { hash, hkdfSync } from 'node:crypto';
import { DATA_PREFIX_LENGTH, decodeDataBody, writeDataPrefix } from './data-body.ts';
import { utf8 } from './encoding.ts';
import { FRAME_TYPES, type FrameType } from './frame.ts';
import { decodeGroup } from './group-body.ts';
import { HASH_LENGTH } from './merkle-tree.ts';
import type { Direction } from './types.ts';

const CONTEXT = utf8('hoop/frame/v2\0');
const SALT_CONTEXT = utf8('hoop/event-salt/v2\0');
const HMAC_BLOCK_LENGTH = 64;

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
 * Several for each statement: hashes go from one buffer to the next as strings of bytes, since a
 * buffer of its own costs Node more than the hash of a few bytes.
 */
export class FrameDigests {
  /** HMAC by two hashes at once: Node's own costs three times as much for a few bytes. */
  readonly #inner = Buffer.alloc(HMAC_BLOCK_LENGTH + SALT_CONTEXT.length + 12);
  readonly #outer = Buffer.alloc(HMAC_BLOCK_LENGTH + HASH_LENGTH);
  readonly #data = Buffer.alloc(CONTEXT.length + 1 + DATA_PREFIX_LENGTH + 4);

  /** @param eventKey L, 32 bytes */
  constructor(eventKey: Uint8Array) {
    for (const [pad, block] of [
      [0x36, this.#inner],
      [0x5c, this.#outer],
    ] as const) {
      block.set(eventKey);
      for (let at = 0; at < HMAC_BLOCK_LENGTH; at += 1) {
        block[at] = (block[at] ?? 0) ^ pad;
      }
    }
    this.#inner.set(SALT_CONTEXT, HMAC_BLOCK_LENGTH);
    startOf(this.#data, 'data');
  }

  /** @param records of a group all of them, else the only one */
  of(type: FrameType, seq: number, records: readonly Committed[]): Uint8Array {
    if (type !== 'group') {
      const [only] = records;
      if (records.length !== 1 || only?.type !== type) {
        throw new TypeError('only a group has other records than itself');
      }
      return Buffer.from(this.#ofRecord(seq, 0, only), 'latin1');
    }
    const whole = Buffer.allocUnsafe(CONTEXT.length + 5 + records.length * HASH_LENGTH);
    let at = whole.writeUInt32BE(records.length, startOf(whole, type));
    for (const [index, record] of records.entries()) {
      at += whole.write(this.#ofRecord(seq, index, record), at, 'latin1');
    }
    return Buffer.from(hashOf(whole), 'latin1');
  }

  /** Of a frame as it was recorded. @param body the whole plain body. @throws FormatError */
  ofBody(type: FrameType, seq: number, body: Uint8Array): Uint8Array {
    return this.of(type, seq, recordsOf(type, body));
  }

  #ofRecord(seq: number, index: number, record: Committed): string {
    if (record.type === 'data') {
      const { stream, direction, offset, length } = record.place;
      const at = CONTEXT.length + 1;
      writeDataPrefix(this.#data, at, stream, direction, offset);
      this.#data.writeUInt32BE(length, at + DATA_PREFIX_LENGTH);
      return hashOf(this.#data);
    }
    const { body } = record;
    const whole = Buffer.allocUnsafe(CONTEXT.length + 1 + HASH_LENGTH + body.length);
    const at = startOf(whole, record.type);
    whole.write(this.salt(seq, index), at, 'latin1');
    whole.set(body, at + HASH_LENGTH);
    return hashOf(whole);
  }

  /** Of one record; 32 bytes, one in each character. */
  salt(seq: number, index: number): string {
    const at = HMAC_BLOCK_LENGTH + SALT_CONTEXT.length;
    this.#inner.writeUInt32BE(Math.floor(seq / 0x1_0000_0000), at);
    this.#inner.writeUInt32BE(seq >>> 0, at + 4);
    this.#inner.writeUInt32BE(index, at + 8);
    this.#outer.write(hashOf(this.#inner), HMAC_BLOCK_LENGTH, 'latin1');
    return hashOf(this.#outer);
  }
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
