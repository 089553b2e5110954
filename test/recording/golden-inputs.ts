/** What the golden bytes are the bytes of. */
import { createPrivateKey } from 'node:crypto';
import type { RecordedCut } from '../../src/recording/formats/cut.ts';
import { encodeDataPrefix } from '../../src/recording/formats/data-body.ts';
import { toBase64, utf8 } from '../../src/recording/formats/encoding.ts';
import { sha256 } from '../../src/recording/formats/manifest.ts';
import { signingKeyFrom } from '../../src/recording/keys/ed25519.ts';

export const SESSION = '01938f3a-7c00-7abc-8def-0123456789ab';
export const KEY = new Uint8Array(32).fill(0x22);
/** RFC 8032 §7.1, tests 1 and 2. */
export const CLIENT = keyFromSeed(
  '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
);
export const GATEWAY = keyFromSeed(
  '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
);

function keyFromSeed(hex: string) {
  const der = Buffer.concat([
    Buffer.from('302e020100300506032b657004220420', 'hex'),
    Buffer.from(hex, 'hex'),
  ]);
  return signingKeyFrom(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
}

export const SEGMENT = {
  session: SESSION,
  segment: 7,
  salt: new Uint8Array(16).fill(0x12),
  previousHead: new Uint8Array(32).fill(0x11),
  startMs: 1_764_000_000_000,
} as const;
export const FRAME = { type: 'data', seq: 4_294_967_298, timeUs: 1_500_000 } as const;
export const DATA = [encodeDataPrefix(3, 1, 65_536), utf8('hello')];
export const STREAMS = [
  { stream: 0, up: 0, down: 40 },
  { stream: 3, up: 10, down: 4_294_967_296 },
];
export const ROOT = toBase64(new Uint8Array(32).fill(0x33));
export const PROPOSAL = {
  epoch: 2,
  streams: STREAMS,
  treeSize: 9,
  root: ROOT,
  timeMs: 1_764_000_000_123,
  signature: toBase64(new Uint8Array(64).fill(0x44)),
};
export const ACK = {
  epoch: 2,
  timeMs: 1_764_000_000_456,
  signature: toBase64(new Uint8Array(64).fill(0x55)),
  head: toBase64(new Uint8Array(32).fill(0x56)),
  frames: 11,
};
/** Of the ack before. */
export const PREVIOUS = { head: new Uint8Array(32).fill(0x57), frames: 6 };
export const CUTS: Record<string, RecordedCut> = {
  'cut-proposed.hex': { type: 'proposed', proposal: PROPOSAL },
  'cut-agreed.hex': { type: 'agreed', proposal: PROPOSAL, ack: ACK },
  'cut-alone.hex': { type: 'alone', cut: { ...PROPOSAL, ...ACK } },
};
export const CERTIFICATE = {
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
export const MANIFEST = {
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
  owners: [{ nodeKey: GATEWAY.publicKey, term: 1, fromCut: 0 }],
  log: undefined,
  lost: [{ stream: 3, direction: 1, from: 4_294_967_296, to: 4_294_967_300 }],
  clientJournalSha256: new Uint8Array(32).fill(0xaa),
  interim: false,
  startedMs: 1_764_000_000_000,
  endedMs: 1_764_000_009_000,
  endReason: 'closed',
  maskedValues: 4,
} as const;
export const KEYRING = {
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
