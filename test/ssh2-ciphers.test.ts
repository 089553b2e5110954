import { createCipheriv, KeyObject, randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { gcmPacket, Ssh2Ciphers } from '../src/connectors/ssh/shared/ssh2-ciphers.ts';

test('a packet has room for a tag, and padding that nobody can guess', () => {
  const seen = new Set<string>();
  for (let length = 1; length < 400; length += 1) {
    const packet = gcmPacket(length);
    const padding = packet[4] ?? 0;
    expect(packet.readUInt32BE(0)).toBe(1 + length + padding);
    expect(packet.length).toBe(4 + 1 + length + padding + 16);
    expect((1 + length + padding) % 16).toBe(0);
    expect(padding).toBeGreaterThanOrEqual(4);
    expect(padding).toBeLessThan(20);
    seen.add(packet.subarray(5 + length, 5 + length + padding).toString('hex'));
  }
  // Two of 4 bytes may be alike by chance; many cannot.
  expect(seen.size).toBeGreaterThan(390);
});

test('packets of bulk share no byte', () => {
  const packets = Array.from({ length: 50 }, (_, at) => gcmPacket(32_777).fill(at));
  for (const [at, packet] of packets.entries()) {
    expect(packet.every((byte) => byte === at)).toBe(true);
  }
});

/** As ssh2 has it without its native part. */
class AESGCMCipherNative {
  _encKey: unknown = randomBytes(16);
  allocPacket: ((payloadLength: number) => Buffer) | undefined = undefined;
}
class AESGCMDecipherNative {
  _decipherKey: unknown = randomBytes(16);
}
class AESGCMCipherBinding {
  allocPacket: ((payloadLength: number) => Buffer) | undefined = undefined;
}
class GenericCipherNative {
  _encKey: unknown = randomBytes(16);
}

test('each key exchange has new ciphers, and the keys are the same in another form', () => {
  const ciphers = new Ssh2Ciphers();
  for (let exchange = 0; exchange < 2; exchange += 1) {
    const cipher = new AESGCMCipherNative();
    const decipher = new AESGCMDecipherNative();
    const { _encKey: raw } = cipher;
    ciphers.tune({ _cipher: cipher, _decipher: decipher });
    ciphers.tune({ _cipher: cipher, _decipher: decipher });
    expect(cipher._encKey).toBeInstanceOf(KeyObject);
    expect(decipher._decipherKey).toBeInstanceOf(KeyObject);
    const sealed = [raw, cipher._encKey].map((key) => {
      if (!(key instanceof Uint8Array || key instanceof KeyObject)) throw new TypeError('no key');
      return createCipheriv('aes-128-gcm', key, Buffer.alloc(12)).update('text', 'utf8', 'hex');
    });
    expect(sealed[0]).toBe(sealed[1]);
  }
});

test('a cipher that is not known stays as it is', () => {
  const cipher = new GenericCipherNative();
  new Ssh2Ciphers().tune({ _cipher: cipher, _decipher: undefined });
  expect(cipher._encKey).toBeInstanceOf(Uint8Array);
  const binding = new AESGCMCipherBinding();
  new Ssh2Ciphers().tune({ _cipher: binding, _decipher: null });
  // One seals in place, with the tag behind; the other encrypts all that it is given.
  const packet = binding.allocPacket?.(100);
  expect(packet?.length).toBe(4 + (packet?.readUInt32BE(0) ?? 0) + 16);
  const native = new AESGCMCipherNative();
  new Ssh2Ciphers().tune({ _cipher: native, _decipher: null });
  const bare = native.allocPacket?.(100);
  expect(bare?.length).toBe(4 + (bare?.readUInt32BE(0) ?? 0));
});
