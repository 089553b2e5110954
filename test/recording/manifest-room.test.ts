/** No client, and no honest day of work, makes a recording that nobody can sign any more. */
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { CutProposer } from '../../src/recording/cuts/cut-proposer.ts';
import {
  hasRoomForLateCut,
  hasRoomToGoOn,
  manifestBytes,
} from '../../src/recording/cuts/manifest-room.ts';
import { openRecording } from '../../src/recording/ended/opened-recording.ts';
import {
  encodeEnvelope,
  MAX_ENVELOPE_BYTES,
  signEnvelope,
} from '../../src/recording/formats/dsse.ts';
import { leafJob } from '../../src/recording/formats/hash-leaves.ts';
import { encodeManifest, type Manifest } from '../../src/recording/formats/manifest.ts';
import { generateSigningKey } from '../../src/recording/keys/ed25519.ts';
import { loadRecordingKeys } from '../../src/recording/keys/recording-keys.ts';
import { LeafHasher } from '../../src/recording/write/leaf-hasher.ts';
import { recordingDirectory } from '../../src/recording/write/recording-store.ts';
import { RecordingBench, SessionPair } from './session-pair.ts';

const MOST = Number.MAX_SAFE_INTEGER;
const signed = { timeMs: 9_999_999_999_999, signature: randomBytes(64).toString('base64') };

/** With numbers as long as they can be. */
function manifestOf(streams: number, cuts: number, movesPerCut: number): Manifest {
  const hash = randomBytes(32);
  const offsets = (stream: number) => ({ stream: 0xffff_ffff - stream, up: MOST, down: MOST });
  return {
    session: '0190a6c2-7d3e-7000-8000-000000000000',
    certificateSha256: hash,
    target: 't'.repeat(200),
    policyCommit: 'a'.repeat(64),
    treeSize: MOST,
    root: hash,
    streams: Array.from({ length: streams }, (_, at) => ({ ...offsets(at), kind: 'evidence' })),
    cuts: Array.from({ length: cuts }, (_, at) => ({
      epoch: 0xffff_ffff - at,
      treeSize: MOST,
      root: hash.toString('base64'),
      streams: Array.from({ length: movesPerCut }, (_, stream) => offsets(stream)),
      client: signed,
      gateway: signed,
    })),
    gatewayHead: hash,
    gatewayFrames: MOST,
    owners: [{ nodeKey: hash, term: 1, fromCut: 0 }],
    log: undefined,
    lost: [],
    clientJournalSha256: hash,
    startedMs: MOST,
    endedMs: MOST,
    endReason: 'recording_failed',
    maskedValues: MOST,
    interim: false,
  };
}

test('a manifest is never larger than it is taken for', () => {
  for (const [streams, cuts, movesPerCut] of [
    [1000, 0, 0],
    [0, 1000, 0],
    [0, 10, 1000],
  ] as const) {
    const real = encodeManifest(manifestOf(streams, cuts, movesPerCut)).length;
    const taken = manifestBytes({ streams, cuts, moves: cuts * movesPerCut });
    expect(real).toBeLessThan(taken + 4096);
    expect(taken).toBeLessThan(real * 1.2);
  }
});

test('the largest manifest of a session that could go on, with a tail over all streams, can be signed', () => {
  let cuts = 0;
  while (hasRoomForLateCut({ streams: 40_000, cuts: cuts + 1, moves: 2 * (cuts + 1) })) {
    cuts += 1;
  }
  const manifest = manifestOf(40_000, cuts, 2);
  const [tail] = manifestOf(0, 1, 40_000).cuts;
  const payload = encodeManifest({ ...manifest, cuts: tail ? [...manifest.cuts, tail] : [] });
  const text = encodeEnvelope(signEnvelope('type', payload, generateSigningKey()));
  expect(text.length).toBeLessThan(MAX_ENVELOPE_BYTES);
});

test('a day with a cut every five seconds, or 100 GB through one session, fit', () => {
  expect(hasRoomToGoOn({ streams: 100, cuts: 17_280, moves: 2 * 17_280 })).toBe(true);
  const cuts = 100_000 / 8;
  expect(hasRoomToGoOn({ streams: 10, cuts, moves: cuts * 2 })).toBe(true);
});

test('a session whose recording is full ends, and can be agreed on', async () => {
  await using bench = await RecordingBench.create();
  const pair = await SessionPair.open(bench);
  let opened = 0;
  while (!pair.gateway.stopped.aborted) {
    opened += 1;
    pair.gateway.openStream(opened, 'postgres');
    pair.gateway.closeStream(opened, 'closed');
  }
  expect(opened).toBeGreaterThan(50_000);
  expect(pair.gateway.stopped.reason).toMatchObject({
    endReason: 'expired',
    code: 'HOOP_SESSION_EXPIRED',
  });
  await pair.gateway.close({ reason: 'expired' });
  await pair.client.close();
  const ended = await bench.ended(pair.session);
  expect((await ended.signAlone()).length).toBeLessThan(MAX_ENVELOPE_BYTES);
});

test('of cuts after the end as many are taken as an upload needs, not one for each byte', async () => {
  await using bench = await RecordingBench.create();
  const pair = await SessionPair.open(bench);
  pair.openStream(1);
  pair.connected = false;
  pair.down(1, randomBytes(100));
  await pair.gateway.close({ reason: 'client_lost' });
  await pair.client.close();
  const ended = await bench.ended(pair.session);
  const directory = recordingDirectory(bench.store, pair.session);
  const keys = loadRecordingKeys(bench.store.keysDir, pair.session);
  await using hasher = new LeafHasher();
  const offer = async (down: number) => {
    const open = { directory, session: pair.session, keys, hasher } as const;
    const { scan, ledger, agreed } = await openRecording(open);
    const streams = [{ stream: 1, up: 0, down }];
    const { places } = ledger.plan(streams);
    const leaves = await hasher.hash(leafJob({ directory, ...keys }, places, scan.index));
    const proposer = new CutProposer({
      session: pair.session,
      sessionKey: pair.sessionKey,
      gatewayKey: bench.keys.gatewayKey.publicKey,
      leaves: () => leaves,
      ledger,
      last: agreed.at(-1)?.ack,
    });
    const { proposal } = proposer.propose(streams, Date.now());
    return ended.acceptCut(proposal);
  };
  for (let byte = 1; byte <= 8; byte += 1) {
    expect(await offer(byte)).toMatchObject({ type: 'ack' });
  }
  await expect(offer(9)).rejects.toMatchObject({ code: 'HOOP_LIMIT' });
  const { facts } = await ended.seal();
  expect(facts.tail).toMatchObject({ streams: [{ stream: 1, down: 100 }] });
});
