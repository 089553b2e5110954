/**
 * The byte formats, one file each: hex with a note per line, made by golden-writer.ts from
 * the words of the design note. Who changes one of them changes what recordings mean.
 */
import { createCipheriv, createSecretKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FormatError } from '../../src/format-error.ts';
import { decodeBundleKeys, encodeBundleKeys } from '../../src/recording/bundle/bundle-keys.ts';
import {
  EVENTS_MAGIC,
  encodeFrameRecord,
  encodeSegmentRecord,
  readEventsMember,
} from '../../src/recording/bundle/events-member.ts';
import { leafHash } from '../../src/recording/formats/chunk.ts';
import {
  ackSigningBytes,
  cutSigningBytes,
  decodeRecordedCut,
  encodeRecordedCut,
  pointOf,
  rootOf,
} from '../../src/recording/formats/cut.ts';
import { decodeDataBody } from '../../src/recording/formats/data-body.ts';
import { decodeEnvelope, encodeEnvelope, signEnvelope } from '../../src/recording/formats/dsse.ts';
import { fromHex, toBase64, utf8 } from '../../src/recording/formats/encoding.ts';
import {
  decodeFrameHeader,
  FRAME_HEADER_LENGTH,
  type FrameType,
  openFrame,
  sealFrame,
  segmentKey,
} from '../../src/recording/formats/frame.ts';
import { eventKeyOf, FrameDigests } from '../../src/recording/formats/frame-digest.ts';
import {
  decodeGroup,
  encodeGroupHead,
  encodeGroupRecordHead,
} from '../../src/recording/formats/group-body.ts';
import { HeadChain } from '../../src/recording/formats/head-chain.ts';
import {
  decodeManifest,
  encodeManifest,
  MANIFEST_TYPE,
} from '../../src/recording/formats/manifest.ts';
import {
  decodeSegmentHeader,
  encodeSegmentHeader,
} from '../../src/recording/formats/segment-header.ts';
import { decodeTarHeader, encodeTarHeader } from '../../src/recording/formats/tar.ts';
import {
  issueCertificate,
  readCertificateUnverified,
} from '../../src/recording/keys/certificate.ts';
import { openKeyring, signKeyring } from '../../src/recording/keys/keyring.ts';
import { signProof } from '../../src/recording/keys/proof-of-possession.ts';
import {
  ACK,
  CERTIFICATE,
  CLIENT,
  CUTS,
  DATA,
  FRAME,
  GATEWAY,
  KEY,
  KEYRING,
  MANIFEST,
  PREVIOUS,
  PROPOSAL,
  SEGMENT,
  SESSION,
} from './golden-inputs.ts';

/** Bytes of a fixture: everything after `#` on a line is a note. */
function golden(name: string): Buffer {
  const text = readFileSync(join(import.meta.dirname, '../fixtures/recording', name), 'utf8');
  return Buffer.from(text.replaceAll(/#.*$/gm, '').replaceAll(/\s/g, ''), 'hex');
}

const HEADER = encodeSegmentHeader(SEGMENT);
const DIGESTS = new FrameDigests(eventKeyOf(KEY));

function sealedOf(type: FrameType, body: readonly Uint8Array[]): Buffer {
  const digest = DIGESTS.ofBody(type, FRAME.seq, Buffer.concat(body));
  const { parts } = sealFrame(segmentKey(KEY, 7, HEADER), 7, { ...FRAME, type, digest }, body);
  return Buffer.concat(parts);
}

/** A result and the bytes of it. */
const GROUP = [
  encodeGroupHead(2),
  encodeGroupRecordHead('event', 17),
  utf8('{"type":"cancel"}'),
  encodeGroupRecordHead('data', 13 + 5),
  ...DATA,
];

/** As it goes into the events member. */
function recordOf(type: FrameType, body: readonly Uint8Array[]): Uint8Array {
  const header = sealedOf(type, body).subarray(0, FRAME_HEADER_LENGTH);
  return encodeFrameRecord(decodeFrameHeader(header), header, Buffer.concat(body));
}

function ackBytes(kind: 'ack' | 'tail'): Uint8Array {
  const { timeMs } = ACK;
  const point = { ...PROPOSAL, root: rootOf(PROPOSAL.root), timeMs };
  return ackSigningBytes(kind, SESSION, point, pointOf(ACK));
}

const ENCODED: Record<string, () => Uint8Array> = {
  'segment-header.hex': () => HEADER,
  'frame-data.hex': () => sealedOf('data', DATA),
  'frame-event.hex': () => sealedOf('event', [utf8('{"type":"cancel"}')]),
  'head.hex': () => {
    const chain = new HeadChain();
    chain.startSegment(HEADER);
    chain.add(sealedOf('data', DATA));
    chain.add(sealedOf('group', GROUP));
    return chain.head;
  },
  'cut-signing.hex': () =>
    cutSigningBytes(SESSION, { ...PROPOSAL, root: rootOf(PROPOSAL.root) }, PREVIOUS),
  'ack-signing.hex': () => ackBytes('ack'),
  'tail-signing.hex': () => ackBytes('tail'),
  ...Object.fromEntries(
    Object.entries(CUTS).map(([name, cut]) => [name, () => encodeRecordedCut(cut)]),
  ),
  'certificate.hex': () => utf8(issueCertificate(CERTIFICATE, GATEWAY)),
  'manifest.hex': () =>
    utf8(encodeEnvelope(signEnvelope(MANIFEST_TYPE, encodeManifest(MANIFEST), CLIENT))),
  'keyring.hex': () => utf8(signKeyring(KEYRING, GATEWAY)),
  'bundle-keys.hex': () => encodeBundleKeys({ dataKey: KEY, saltKey: new Uint8Array(32).fill(1) }),
  'tar-header.hex': () => encodeTarHeader(`chunks/${'0f'.repeat(32)}`, 65_536),
  'events-segment.hex': () => encodeSegmentRecord(HEADER),
  'events-data.hex': () => recordOf('data', DATA),
  'frame-group.hex': () => sealedOf('group', GROUP),
  'events-group.hex': () => recordOf('group', GROUP),
  'proof.hex': () => {
    const hello = {
      v: 1,
      target: 'prod-db',
      clientKey: toBase64(CLIENT.publicKey),
      clientNonce: toBase64(new Uint8Array(16).fill(0x66)),
      serverNonce: toBase64(new Uint8Array(32).fill(0xbb)),
      cli: { version: '0.1.0' },
    } as const;
    const input = { hello, serverNonce: hello.serverNonce, exporter: new Uint8Array(0) };
    return Buffer.from(signProof(CLIENT, input), 'base64');
  },
};

describe('golden bytes', () => {
  for (const [name, encode] of Object.entries(ENCODED)) {
    test(`${name} is what the encoder writes`, () => {
      expect(Buffer.from(encode()).toString('hex')).toBe(golden(name).toString('hex'));
    });
  }

  test('the leaf of SELECT 1 is the published vector', () => {
    const place = { epoch: 0, stream: 1, direction: 0, offset: 0, length: 8 } as const;
    const key = createSecretKey(new Uint8Array(32).fill(1));
    expect(Buffer.from(leafHash(key, place, [utf8('SELECT 1')])).toString('hex')).toBe(
      '099c980b2e94bc4b3d5306e49204ee3e42fada12e2a1990e93089a1e0d1ac15d',
    );
  });

  test('the segment header reads back', () => {
    const header = decodeSegmentHeader(golden('segment-header.hex'));
    expect({
      ...header,
      salt: Uint8Array.from(header.salt),
      previousHead: Uint8Array.from(header.previousHead),
    }).toEqual(SEGMENT);
  });

  test('a group reads back, with and without its data', () => {
    const frame = golden('frame-group.hex');
    const body = openFrame(segmentKey(KEY, 7, HEADER), 7, decodeFrameHeader(frame), frame);
    const [event, data] = decodeGroup(body);
    expect(event).toMatchObject({ type: 'event', body: Buffer.from('{"type":"cancel"}') });
    expect(data).toMatchObject({ type: 'data', length: 5, bytes: Buffer.from('hello') });
    const member = Buffer.concat([EVENTS_MAGIC, golden('events-group.hex')]);
    const read = (at: number, length: number) => member.subarray(at, at + length);
    const [record] = [...readEventsMember(member.length, read)];
    expect(record).toMatchObject({
      type: 'group',
      records: [
        { type: 'event', body: Buffer.from('{"type":"cancel"}') },
        { type: 'data', length: 5, data: { stream: 3, direction: 1 }, bytes: new Uint8Array(0) },
      ],
    });
  });

  const count = (records: number) => encodeGroupHead(records);
  test.each([
    ['a record of another type', [count(1), Uint8Array.of(3, 0, 0, 0, 1), Uint8Array.of(0)]],
    ['a group in a group', [count(1), Uint8Array.of(6, 0, 0, 0, 0)]],
    ['data without its prefix', [count(1), Uint8Array.of(1, 0, 0, 0, 12), new Uint8Array(12)]],
    [
      'a length beyond its end',
      [count(1), Uint8Array.of(2, 0xff, 0xff, 0xff, 0xff), new Uint8Array(9)],
    ],
    ['half a head', [count(1), Uint8Array.of(2, 0, 0)]],
    ['more records than it counts', [count(1), ...GROUP.slice(1)]],
    ['fewer records than it counts', [count(3), ...GROUP.slice(1)]],
    ['no record', [count(0)]],
    ['half a count', [Uint8Array.of(0, 0)]],
  ])('a group with %s is refused', (_what, parts) => {
    expect(() => decodeGroup(Buffer.concat(parts))).toThrow(FormatError);
  });

  test('the salt of a frame is two blocks of a key stream, at twice its number', () => {
    for (const [seq, counter] of [
      [0, '0000000000000000'],
      [63, '000000000000007e'],
      [64, '0000000000000080'],
      [4_294_967_298, '0000000200000004'],
      [Number.MAX_SAFE_INTEGER, '003ffffffffffffe'],
    ] as const) {
      const from = Buffer.concat([new Uint8Array(8), Buffer.from(counter, 'hex')]);
      const cipher = createCipheriv('aes-256-ctr', eventKeyOf(KEY), from);
      expect(Buffer.from(DIGESTS.salt(seq))).toEqual(cipher.update(new Uint8Array(32)));
    }
  });

  test('the frame reads back and opens', () => {
    const frame = golden('frame-data.hex');
    const header = decodeFrameHeader(frame);
    const place = { stream: 3, direction: 1, offset: 65_536, length: 5 } as const;
    const digest = DIGESTS.of('data', FRAME.seq, [{ type: 'data', place }]);
    expect(header).toEqual({ ...FRAME, bodyLength: 34, digest: Uint8Array.from(digest) });
    const body = decodeDataBody(openFrame(segmentKey(KEY, 7, HEADER), 7, header, frame));
    expect({ ...body, bytes: Buffer.from(body.bytes).toString() }).toEqual({
      stream: 3,
      direction: 1,
      offset: 65_536,
      bytes: 'hello',
    });
  });

  for (const [name, cut] of Object.entries(CUTS)) {
    test(`${name} reads back`, () => {
      expect(decodeRecordedCut(golden(name))).toEqual(cut);
    });
  }

  test('the certificate reads back', () => {
    const read = readCertificateUnverified(golden('certificate.hex').toString());
    const plain = (value: object) =>
      JSON.stringify(value, (_, v) =>
        v instanceof Uint8Array
          ? Buffer.from(v).toString('hex')
          : v?.type === 'Buffer'
            ? Buffer.from(v.data).toString('hex')
            : v,
      );
    expect(plain(read)).toBe(plain(CERTIFICATE));
  });

  test('the manifest reads back to the same bytes', () => {
    const envelope = decodeEnvelope(golden('manifest.hex'), 'the manifest');
    expect(encodeManifest(decodeManifest(envelope))).toEqual(Uint8Array.from(envelope.payload));
  });

  test('the keyring reads back', () => {
    const keyring = openKeyring(golden('keyring.hex').toString(), GATEWAY.publicKey);
    expect(keyring.version).toBe(3);
    expect(keyring.keys.map(({ use }) => use)).toEqual(['session-ca', 'gateway']);
    expect(keyring.keys[1]?.notAfterMs).toBe(KEYRING.keys[1].notAfterMs);
  });

  test('bundle keys and tar header read back', () => {
    const { eventKey, saltKey } = decodeBundleKeys(golden('bundle-keys.hex'));
    expect(eventKey).toEqual(eventKeyOf(KEY));
    expect(Uint8Array.from(saltKey)).toEqual(new Uint8Array(32).fill(1));
    expect(decodeTarHeader(golden('tar-header.hex'))).toEqual({
      name: `chunks/${'0f'.repeat(32)}`,
      size: 65_536,
    });
  });

  test('fromHex refuses upper case and odd lengths', () => {
    expect(() => fromHex('AB', 'it', 1)).toThrow('it is not 1 bytes in lower-case hex');
    expect(() => fromHex('abc', 'it', 1)).toThrow('it is not 1 bytes in lower-case hex');
  });
});
