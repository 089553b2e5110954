/**
 * What ssh2 spends on a packet beside its encryption: memory of its own and a call into OpenSSL for
 * a few bytes of padding; and without its native part a key that Node.js makes anew for each packet,
 * which costs more than to encrypt it. Order, numbers, nonces and keys stay ssh2's. It makes its
 * ciphers with each key exchange, so they are looked at with each packet; one that is not known here
 * is left as it is.
 */
import { createSecretKey, randomFillSync } from 'node:crypto';

/** Of ssh2 1.17.0, crypto.js: with its native part, which seals in place, and without. */
const PACKETS: Readonly<Record<string, (payloadLength: number) => Buffer>> = {
  AESGCMCipherBinding: (payloadLength) => gcmPacket(payloadLength),
  AESGCMCipherNative: (payloadLength) => gcmPacket(payloadLength, 0),
};
const KEY_FIELDS: Readonly<Record<string, string>> = {
  AESGCMCipherNative: '_encKey',
  AESGCMDecipherNative: '_decipherKey',
};

const TAG_BYTES = 16;
const BLOCK_BYTES = 16;
/** RFC 4253 §6. */
const LEAST_PADDING = 4;
/** Packets of bulk lie one behind the other in memory; nothing in it is written twice. */
const ARENA_BYTES = 256 * 1024;
/** Shorter ones come from Node's own pool. */
const LEAST_IN_ARENA = 4096;
const RANDOM_BYTES = 4096;

export class Ssh2Ciphers {
  #cipher: unknown;
  #decipher: unknown;

  /** @param protocol ssh2's, before it seals or opens a packet */
  tune(protocol: { readonly _cipher: unknown; readonly _decipher: unknown }): void {
    if (protocol._cipher !== this.#cipher) {
      this.#cipher = protocol._cipher;
      tuned(this.#cipher);
    }
    if (protocol._decipher !== this.#decipher) {
      this.#decipher = protocol._decipher;
      tuned(this.#decipher);
    }
  }
}

function tuned(cipher: unknown): void {
  if (typeof cipher !== 'object' || cipher === null) {
    return;
  }
  const { name } = cipher.constructor;
  const packet = PACKETS[name];
  if (packet !== undefined) {
    Reflect.set(cipher, 'allocPacket', packet);
  }
  const field = KEY_FIELDS[name];
  const key: unknown = field === undefined ? undefined : Reflect.get(cipher, field);
  if (field !== undefined && key instanceof Uint8Array) {
    Reflect.set(cipher, field, createSecretKey(key));
  }
}

let arena = Buffer.alloc(0);
let random = Buffer.alloc(0);
let randomAt = 0;

/**
 * A packet for AES-GCM (RFC 5647 §7.2) as ssh2 lays it out; the payload is to be filled in at 5.
 * @param tagLength room behind it
 */
export function gcmPacket(payloadLength: number, tagLength = TAG_BYTES): Buffer {
  const unpadded = 1 + payloadLength;
  const least = BLOCK_BYTES - (unpadded % BLOCK_BYTES);
  const padding = least < LEAST_PADDING ? least + BLOCK_BYTES : least;
  const packet = memory(4 + unpadded + padding + tagLength);
  packet.writeUInt32BE(unpadded + padding, 0);
  packet[4] = padding;
  packet.set(randomBytes(padding), 4 + unpadded);
  return packet;
}

function memory(length: number): Buffer {
  if (length < LEAST_IN_ARENA) {
    return Buffer.allocUnsafe(length);
  }
  if (length > arena.length) {
    arena = Buffer.allocUnsafeSlow(Math.max(ARENA_BYTES, length));
  }
  const taken = arena.subarray(0, length);
  arena = arena.subarray(length);
  return taken;
}

/** Each is given out once. */
function randomBytes(length: number): Uint8Array {
  if (randomAt + length > random.length) {
    random = randomFillSync(Buffer.allocUnsafe(RANDOM_BYTES));
    randomAt = 0;
  }
  randomAt += length;
  return random.subarray(randomAt - length, randomAt);
}
