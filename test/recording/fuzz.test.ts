/** Damaged and random bytes into every decoder: only typed errors, and soon. */

import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { HoopError } from '../../src/errors.ts';
import { decodeBundleKeys } from '../../src/recording/bundle/bundle-keys.ts';
import { listMembers } from '../../src/recording/bundle/bundle-members.ts';
import { bytesSource } from '../../src/recording/bundle/bundle-source.ts';
import { EVENTS_MAGIC, readEventsMember } from '../../src/recording/bundle/events-member.ts';
import { parseCanonicalJson } from '../../src/recording/formats/canonical-json.ts';
import { decodeRecordedCut } from '../../src/recording/formats/cut.ts';
import { decodeDataBody } from '../../src/recording/formats/data-body.ts';
import { decodeEnvelope } from '../../src/recording/formats/dsse.ts';
import { decodeFrameHeader, openFrame, segmentKey } from '../../src/recording/formats/frame.ts';
import { decodeGroup } from '../../src/recording/formats/group-body.ts';
import { decodeManifest } from '../../src/recording/formats/manifest.ts';
import { decodeSegmentHeader } from '../../src/recording/formats/segment-header.ts';
import { decodeNote } from '../../src/recording/formats/signed-note.ts';
import { decodeTarHeader } from '../../src/recording/formats/tar.ts';
import { readCertificateUnverified } from '../../src/recording/keys/certificate.ts';
import { readKeyringUnverified } from '../../src/recording/keys/keyring.ts';
import { seededRandom } from './session-pair.ts';

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('utf8');
const KEY = segmentKey(new Uint8Array(32).fill(0x22), 7, fixture('segment-header.hex'));

const DECODERS: Record<string, { readonly from: string; decode(bytes: Uint8Array): unknown }> = {
  'segment header': { from: 'segment-header.hex', decode: decodeSegmentHeader },
  frame: {
    from: 'frame-data.hex',
    decode: (bytes) => openFrame(KEY, 7, decodeFrameHeader(bytes), bytes),
  },
  'data body': { from: 'events-data.hex', decode: (bytes) => decodeDataBody(bytes.subarray(61)) },
  'agreed cut': { from: 'cut-agreed.hex', decode: decodeRecordedCut },
  'proposed cut': { from: 'cut-proposed.hex', decode: decodeRecordedCut },
  'tail cut': { from: 'cut-alone.hex', decode: decodeRecordedCut },
  certificate: {
    from: 'certificate.hex',
    decode: (bytes) => readCertificateUnverified(text(bytes)),
  },
  manifest: {
    from: 'manifest.hex',
    decode: (bytes) => decodeManifest(decodeEnvelope(bytes, 'it')),
  },
  'manifest payload': {
    from: 'manifest.hex',
    decode: (bytes) => {
      const payload = Buffer.from(text(bytes).slice(12, -400), 'base64');
      const payloadType = 'application/vnd.in-toto+json';
      return decodeManifest({ payload, payloadType, signatures: [] });
    },
  },
  keyring: { from: 'keyring.hex', decode: (bytes) => readKeyringUnverified(text(bytes)) },
  note: { from: 'keyring.hex', decode: decodeNote },
  'bundle keys': { from: 'bundle-keys.hex', decode: decodeBundleKeys },
  'tar header': { from: 'tar-header.hex', decode: decodeTarHeader },
  'tar archive': { from: 'tar-header.hex', decode: (bytes) => listMembers(bytesSource(bytes)) },
  'canonical JSON': {
    from: 'bundle-keys.hex',
    decode: (bytes) => parseCanonicalJson(bytes, 'it'),
  },
  events: { from: 'events-data.hex', decode: readEvents },
  'events with a group': { from: 'events-group.hex', decode: readEvents },
  group: { from: 'events-group.hex', decode: (bytes) => decodeGroup(bytes.subarray(61)) },
};

function readEvents(bytes: Uint8Array): unknown {
  const member = Buffer.concat([EVENTS_MAGIC, bytes]);
  const read = (at: number, length: number) => member.subarray(at, at + length);
  return [...readEventsMember(member.length, read)];
}

function fixture(name: string): Buffer {
  const path = join(import.meta.dirname, '../fixtures/recording', name);
  const hex = readFileSync(path, 'utf8').replaceAll(/#.*$/gm, '').replaceAll(/\s/g, '');
  return Buffer.from(hex, 'hex');
}

/** Decodes, and lets nothing but a HoopError out. */
function survive(decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array): boolean {
  try {
    decode(bytes);
    return true;
  } catch (error) {
    if (!(error instanceof HoopError)) {
      throw new Error(`escaped on ${Buffer.from(bytes).toString('hex')}`, { cause: error });
    }
    return false;
  }
}

describe('every decoder', () => {
  const seed = 20261123;

  for (const [name, { from, decode }] of Object.entries(DECODERS)) {
    test(`${name}: truncated at every byte`, () => {
      const whole = fixture(from);
      for (let length = 0; length < whole.length; length += 1) {
        survive(decode, whole.subarray(0, length));
      }
    });

    test(`${name}: damaged and random bytes (seed ${seed})`, () => {
      const random = seededRandom(seed);
      const whole = fixture(from);
      for (let round = 0; round < 1_500; round += 1) {
        const bytes =
          round % 4 === 0
            ? randomBytes(Math.floor(random() * 300))
            : Buffer.concat([whole, randomBytes(Math.floor(random() * 3))]);
        for (let flips = Math.floor(random() * 4); flips >= 0 && bytes.length > 0; flips -= 1) {
          bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
        }
        survive(decode, bytes);
      }
    });
  }

  for (const name of ['segment-header', 'frame-data', 'cut-agreed', 'tar-header']) {
    test(`${name}: no single bit can change without being refused or seen`, () => {
      const whole = fixture(`${name}.hex`);
      const decoder = Object.values(DECODERS).find(({ from }) => from === `${name}.hex`);
      const before = JSON.stringify(decoder?.decode(whole));
      for (let bit = 0; bit < whole.length * 8; bit += 1) {
        const copy = Buffer.from(whole);
        copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        let after: string | undefined;
        survive((bytes) => {
          after = JSON.stringify(decoder?.decode(bytes));
        }, copy);
        expect(after).not.toBe(before);
      }
    });
  }

  test('all fixtures are used by some test of the formats', () => {
    const names = readdirSync(join(import.meta.dirname, '../fixtures/recording'));
    expect(names.length).toBeGreaterThan(14);
  });
});

test('a cut that claims a million streams is refused before anything is made for it', () => {
  const bytes = fixture('cut-agreed.hex');
  bytes.writeUInt32BE(0xffff_ffff, 1 + 4 + 8 + 32 + 2 * 72 + 40);
  expect(() => decodeRecordedCut(bytes)).toThrow('a cut lists too many streams');
});

test('an envelope above the limit is refused before it is parsed', () => {
  expect(() => decodeEnvelope(new Uint8Array((16 << 20) + 1), 'it')).toThrow('it is larger than');
});
