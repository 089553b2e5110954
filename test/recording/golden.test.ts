/**
 * The byte formats, one file each: hex with a note per line, made once and never again. Who
 * changes one of them changes what old recordings mean.
 */
import { createPrivateKey, createSecretKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FormatError } from '../../src/format-error.ts';
import { decodeBundleKeys, encodeBundleKeys } from '../../src/recording/bundle-keys.ts';
import { issueCertificate, readCertificateUnverified } from '../../src/recording/certificate.ts';
import { leafHash } from '../../src/recording/chunk.ts';
import {
  cutSigningBytes,
  decodeRecordedCut,
  encodeRecordedCut,
  type RecordedCut,
} from '../../src/recording/cut.ts';
import { decodeDataBody, encodeDataPrefix } from '../../src/recording/data-body.ts';
import { decodeEnvelope, encodeEnvelope, signEnvelope } from '../../src/recording/dsse.ts';
import { signingKeyFrom } from '../../src/recording/ed25519.ts';
import { fromHex, toBase64, utf8 } from '../../src/recording/encoding.ts';
import {
  EVENTS_MAGIC,
  encodeFrameRecord,
  encodeSegmentRecord,
  readEventsMember,
} from '../../src/recording/events-member.ts';
import {
  decodeFrameHeader,
  encodeFrameHeader,
  type FrameHeader,
  hasValidChecksum,
  openFrame,
  sealFrame,
  segmentKey,
} from '../../src/recording/frame.ts';
import { decodeGroup, encodeGroupRecordHead } from '../../src/recording/group-body.ts';
import { firstHead, nextHead } from '../../src/recording/head-chain.ts';
import { openKeyring, signKeyring } from '../../src/recording/keyring.ts';
import {
  decodeManifest,
  encodeManifest,
  MANIFEST_TYPE,
  sha256,
} from '../../src/recording/manifest.ts';
import { signProof } from '../../src/recording/proof-of-possession.ts';
import { decodeSegmentHeader, encodeSegmentHeader } from '../../src/recording/segment-header.ts';
import { decodeTarHeader, encodeTarHeader } from '../../src/recording/tar.ts';

const SESSION = '01938f3a-7c00-7abc-8def-0123456789ab';
const KEY = new Uint8Array(32).fill(0x22);
/** RFC 8032 §7.1, tests 1 and 2. */
const CLIENT = keyFromSeed('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60');
const GATEWAY = keyFromSeed('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb');

function keyFromSeed(hex: string) {
  const der = Buffer.concat([
    Buffer.from('302e020100300506032b657004220420', 'hex'),
    Buffer.from(hex, 'hex'),
  ]);
  return signingKeyFrom(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
}

/** Bytes of a fixture: everything after `#` on a line is a note. */
function golden(name: string): Buffer {
  const text = readFileSync(join(import.meta.dirname, '../fixtures/recording', name), 'utf8');
  return Buffer.from(text.replaceAll(/#.*$/gm, '').replaceAll(/\s/g, ''), 'hex');
}

const SEGMENT = {
  side: 'gateway',
  session: SESSION,
  segment: 7,
  previousHead: new Uint8Array(32).fill(0x11),
  startMs: 1_764_000_000_000,
} as const;
const FRAME = { type: 'data', seq: 4_294_967_298, timeUs: 1_500_000 } as const;
const DATA = [encodeDataPrefix(3, 1, 65_536), utf8('hello')];
const STREAMS = [
  { stream: 0, up: 0, down: 40 },
  { stream: 3, up: 10, down: 4_294_967_296 },
];
const ROOT = toBase64(new Uint8Array(32).fill(0x33));
const PROPOSAL = {
  epoch: 2,
  streams: STREAMS,
  treeSize: 9,
  root: ROOT,
  timeMs: 1_764_000_000_123,
  signature: toBase64(new Uint8Array(64).fill(0x44)),
};
const ACK = {
  epoch: 2,
  timeMs: 1_764_000_000_456,
  signature: toBase64(new Uint8Array(64).fill(0x55)),
};
const CUTS: Record<string, RecordedCut> = {
  'cut-proposed.hex': { type: 'proposed', proposal: PROPOSAL },
  'cut-agreed.hex': { type: 'agreed', proposal: PROPOSAL, ack: ACK },
  'cut-alone.hex': { type: 'alone', cut: { ...PROPOSAL, signature: ACK.signature } },
};
const CERTIFICATE = {
  session: SESSION,
  gateway: 'gw-1',
  clientKey: CLIENT.publicKey,
  gatewayKey: GATEWAY.publicKey,
  saltKeySha256: sha256(KEY),
  issuer: 'https://idp.example',
  subject: '248289761001',
  name: 'ada@example.com',
  audience: 'hoop-cli',
  authTime: 1_763_999_000,
  claimsSha256: '00'.repeat(32),
  jkt: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I',
  target: 'prod-db',
  policy: { commit: '0123456789abcdef0123456789abcdef01234567', sha256: undefined },
  cli: { version: '0.1.0', sha256: undefined },
  notBeforeMs: 1_763_999_940_000,
  notAfterMs: 1_764_003_600_000,
  clientNonce: new Uint8Array(16).fill(0x66),
};
const MANIFEST = {
  session: SESSION,
  certificateSha256: new Uint8Array(32).fill(0x77),
  target: 'prod-db',
  policyCommit: CERTIFICATE.policy.commit,
  treeSize: 9,
  root: new Uint8Array(32).fill(0x33),
  streams: [
    { stream: 0, kind: 'evidence', up: 0, down: 40 },
    { stream: 3, kind: 'postgres', up: 10, down: 4_294_967_296 },
  ],
  cuts: [
    {
      epoch: 0,
      treeSize: 9,
      root: ROOT,
      streams: STREAMS,
      client: { timeMs: PROPOSAL.timeMs, signature: PROPOSAL.signature },
      gateway: { timeMs: ACK.timeMs, signature: ACK.signature },
    },
  ],
  gatewayHead: new Uint8Array(32).fill(0x88),
  gatewayFrames: 12,
  gatewayKeySha256: new Uint8Array(32).fill(0x99),
  clientHead: new Uint8Array(32).fill(0xaa),
  interim: false,
  startedMs: 1_764_000_000_000,
  endedMs: 1_764_000_009_000,
  endReason: 'closed',
  maskedValues: 4,
} as const;
const KEYRING = {
  gateway: 'gw-1',
  version: 3,
  issuedMs: 1_764_000_000_000,
  expiresMs: 1_795_536_000_000,
  keys: [
    {
      use: 'session-ca',
      publicKey: CLIENT.publicKey,
      notBeforeMs: 1_764_000_000_000,
      notAfterMs: 1_771_776_000_000,
    },
    {
      use: 'gateway',
      publicKey: GATEWAY.publicKey,
      notBeforeMs: 1_764_000_000_000,
      notAfterMs: 1_795_536_000_000,
    },
  ],
} as const;

function sealed(): Buffer {
  return Buffer.concat(sealFrame(segmentKey(KEY, 7), 7, FRAME, DATA).parts);
}

/** A result and the bytes of it. */
const GROUP = [
  encodeGroupRecordHead('event', 17),
  utf8('{"type":"cancel"}'),
  encodeGroupRecordHead('data', 13 + 5),
  ...DATA,
];

function sealedGroup(): Uint8Array {
  const frame = sealFrame(segmentKey(KEY, 7), 7, { ...FRAME, type: 'group' }, GROUP);
  return Buffer.concat(frame.parts);
}

const ENCODED: Record<string, () => Uint8Array> = {
  'segment-header.hex': () => encodeSegmentHeader(SEGMENT),
  'frame-data.hex': sealed,
  'head.hex': () => nextHead(firstHead(encodeSegmentHeader(SEGMENT)), sha256(sealed())),
  'cut-signing.hex': () =>
    cutSigningBytes('cut', SESSION, { ...PROPOSAL, root: new Uint8Array(32).fill(0x33) }),
  'ack-signing.hex': () =>
    cutSigningBytes('ack', SESSION, {
      ...PROPOSAL,
      root: new Uint8Array(32).fill(0x33),
      timeMs: ACK.timeMs,
    }),
  ...Object.fromEntries(
    Object.entries(CUTS).map(([name, cut]) => [name, () => encodeRecordedCut(cut)]),
  ),
  'certificate.hex': () => utf8(issueCertificate(CERTIFICATE, GATEWAY)),
  'manifest.hex': () =>
    utf8(encodeEnvelope(signEnvelope(MANIFEST_TYPE, encodeManifest(MANIFEST), CLIENT))),
  'keyring.hex': () => utf8(signKeyring(KEYRING, GATEWAY)),
  'bundle-keys.hex': () => encodeBundleKeys({ dataKey: KEY, saltKey: new Uint8Array(32).fill(1) }),
  'tar-header.hex': () => encodeTarHeader(`chunks/${'0f'.repeat(32)}`, 65_536),
  'events-segment.hex': () => encodeSegmentRecord(encodeSegmentHeader(SEGMENT)),
  'events-data.hex': () => {
    const header = { ...FRAME, bodyLength: 13 + 5 + 16 };
    const bytes = encodeFrameHeader(header);
    return encodeFrameRecord(header, bytes, sha256(sealed()), Buffer.concat(DATA));
  },
  'frame-group.hex': () => sealedGroup(),
  'events-group.hex': () => {
    const bodyLength = GROUP.reduce((sum, { length }) => sum + length, 16);
    const header: FrameHeader = { ...FRAME, type: 'group', bodyLength };
    const digest = sha256(sealedGroup());
    return encodeFrameRecord(header, encodeFrameHeader(header), digest, Buffer.concat(GROUP));
  },
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
    expect({ ...header, previousHead: Uint8Array.from(header.previousHead) }).toEqual(SEGMENT);
  });

  test('a group reads back, with and without its data', () => {
    const frame = golden('frame-group.hex');
    const body = openFrame(segmentKey(KEY, 7), 7, decodeFrameHeader(frame), frame);
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

  test.each([
    ['a record of another type', [Uint8Array.of(3, 0, 0, 0, 1), Uint8Array.of(0)]],
    ['a group in a group', [Uint8Array.of(6, 0, 0, 0, 0)]],
    ['data without its prefix', [Uint8Array.of(1, 0, 0, 0, 12), new Uint8Array(12)]],
    ['a length beyond its end', [Uint8Array.of(2, 0xff, 0xff, 0xff, 0xff), new Uint8Array(9)]],
    ['half a head', [Uint8Array.of(2, 0, 0)]],
  ])('a group with %s is refused', (_what, parts) => {
    expect(() => decodeGroup(Buffer.concat(parts))).toThrow(FormatError);
  });

  test('the frame reads back and opens', () => {
    const frame = golden('frame-data.hex');
    const header = decodeFrameHeader(frame);
    expect(header).toEqual({ ...FRAME, bodyLength: 34 });
    expect(hasValidChecksum(frame)).toBe(true);
    const body = decodeDataBody(openFrame(segmentKey(KEY, 7), 7, header, frame));
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
    expect(Uint8Array.from(decodeBundleKeys(golden('bundle-keys.hex')).dataKey)).toEqual(KEY);
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
