/** What verify must find, and by which name. */

import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listMembers } from '../../src/recording/bundle/bundle-members.ts';
import { bytesSource } from '../../src/recording/bundle/bundle-source.ts';
import { readEventsMember } from '../../src/recording/bundle/events-member.ts';
import { uploadSession } from '../../src/recording/client/upload-session.ts';
import { readSession } from '../../src/recording/ended/read-session.ts';
import { canonicalJson } from '../../src/recording/formats/canonical-json.ts';
import {
  appendSignature,
  decodeEnvelope,
  type Envelope,
  encodeEnvelope,
  signEnvelope,
} from '../../src/recording/formats/dsse.ts';
import { utf8 } from '../../src/recording/formats/encoding.ts';
import { generateSigningKey } from '../../src/recording/keys/ed25519.ts';
import { signKeyring } from '../../src/recording/keys/keyring.ts';
import { type Verification, verifyBundle } from '../../src/recording/verify/verify.ts';
import { realSystem } from '../../src/recording/write/segment-writer.ts';
import { bundleOf, type Members, membersOf } from './bundle-of.ts';
import { RecordingBench, readBundle, SessionPair, seededRandom } from './session-pair.ts';

const BLANK_KEY = Buffer.alloc(32).toString('base64');

let bench: RecordingBench;
let pair: SessionPair;
let bundle: Buffer;
let otherBundle: Buffer;

beforeAll(async () => {
  bench = await RecordingBench.create();
  pair = await SessionPair.open(bench);
  bundle = await recordedBundle(pair);
  otherBundle = await recordedBundle(await SessionPair.open(bench));
});
afterAll(() => bench[Symbol.asyncDispose]());

/** A session with two streams and three cuts. */
async function recordedBundle(session: SessionPair): Promise<Buffer> {
  session.openStream(1);
  session.openStream(2);
  for (let round = 0; round < 2; round += 1) {
    session.up(1, Buffer.from(`SELECT ${round}`));
    session.down(1, randomBytes(70_000));
    session.down(2, randomBytes(10));
    await session.gateway.writer.sync();
    await cutNow(session);
  }
  session.client.closeStream(1);
  session.gateway.closeStream(1, 'closed');
  await session.end();
  const transport = await session.transport();
  await uploadSession({
    directory: bench.spools,
    session: session.session,
    gateway: transport,
    signal: new AbortController().signal,
  });
  return await readBundle(transport.ended);
}

/** Makes the client cut without waiting for its timer. */
async function cutNow({ client }: SessionPair): Promise<void> {
  await client.finish(new AbortController().signal);
}

function verify(bytes: Uint8Array, allowOneSided = false): Verification {
  return verifyBundle(bytesSource(bytes), { ...bench.trust, allowOneSided });
}

function replace(name: string, change: (bytes: Uint8Array) => Uint8Array): Buffer {
  return bundleOf(membersOf(bundle).map(([n, bytes]) => [n, n === name ? change(bytes) : bytes]));
}

function memberOf(bytes: Uint8Array, name: string): Uint8Array {
  return membersOf(bytes).find(([found]) => found === name)?.[1] ?? new Uint8Array(0);
}

function failures(result: Verification): string[] {
  return result.checks
    .filter(({ status }) => status === 'failed')
    .map(({ name, text }) => `${name}: ${text}`);
}

function envelopeOf(bytes: Uint8Array): Envelope {
  return decodeEnvelope(memberOf(bytes, 'manifest.dsse'), 'the manifest');
}

/** The manifest with one member of its predicate changed, and signed again by who is given. */
function forged(change: (predicate: Record<string, unknown>) => void, keys = 'both'): Buffer {
  const { payload, payloadType } = envelopeOf(bundle);
  const statement = JSON.parse(Buffer.from(payload).toString());
  change(statement.predicate);
  const bytes = utf8(canonicalJson(statement));
  let envelope = signEnvelope(payloadType, bytes, pair.sessionKey);
  if (keys === 'both') {
    envelope = appendSignature(envelope, bench.keys.gatewayKey);
  }
  return replace('manifest.dsse', () => utf8(encodeEnvelope(envelope)));
}

const chunkNames = () =>
  membersOf(bundle).flatMap(([name]) => (name.startsWith('chunks/') ? [name] : []));

test('the bundle verifies as it is', () => {
  expect(verify(bundle)).toMatchObject({
    exitStatus: 0,
    verdict: 'verified (two-sided, not logged)',
  });
  expect(chunkNames().length).toBeGreaterThan(6);
});

describe('every byte counts', () => {
  test('one flipped bit anywhere is found', () => {
    const random = seededRandom(7);
    const missed: number[] = [];
    // All of the head of the archive would take minutes: a random bit in each fifth byte.
    const end = listMembers(bytesSource(bundle)).chunks[0]?.offset ?? 0;
    for (let at = Math.floor(random() * 5); at < end; at += 5) {
      const copy = Buffer.from(bundle);
      copy[at] = (copy[at] ?? 0) ^ (1 << Math.floor(random() * 8));
      if (verify(copy).exitStatus !== 1) {
        missed.push(at);
      }
    }
    expect(missed).toEqual([]);
  });

  test('a flipped bit in a chunk names the chunk', () => {
    const [, second] = chunkNames();
    const altered = replace(second ?? '', (bytes) => {
      const copy = Uint8Array.from(bytes);
      copy[3] = (copy[3] ?? 0) ^ 1;
      return copy;
    });
    const result = verify(altered);
    expect(result.exitStatus).toBe(1);
    expect(failures(result)[0]).toBe('chunks: chunk 1 (stream 1 down @0) was altered');
  });

  test('bytes after the end are found', () => {
    expect(verify(Buffer.concat([bundle, Buffer.alloc(512)])).verdict).toBe(
      'tampered: bundle is malformed: 512 bytes follow the end',
    );
    expect(verify(Buffer.concat([bundle, Buffer.from('x')])).exitStatus).toBe(1);
  });

  test('a file that ends early is incomplete, wherever it was cut off, and nobody tampered with it', () => {
    for (const length of [0, 1, 511, 512, 5_000, bundle.length - 1024, bundle.length - 1]) {
      const result = verify(bundle.subarray(0, length), true);
      expect(result).toMatchObject({
        exitStatus: 2,
        isOneSided: false,
        verdict: 'incomplete: the file ends early: download the bundle again',
      });
      expect(result.checks.filter(({ status }) => status === 'ok')).toEqual([]);
    }
  });
});

describe('chunks', () => {
  test('a dropped chunk is named, and those after it are not blamed', () => {
    const [first] = chunkNames();
    const result = verify(bundleOf(membersOf(bundle).filter(([name]) => name !== first)));
    expect(failures(result)[0]).toBe('chunks: chunk 0 (stream 1 up @0) is missing');
    expect(failures(result)[1]).toContain('recording is truncated');
  });

  test('a cut tail is named', () => {
    const names = chunkNames();
    const kept = new Set(names.slice(0, -2));
    const result = verify(
      bundleOf(membersOf(bundle).filter(([name]) => !name.startsWith('chunks/') || kept.has(name))),
    );
    expect(result.exitStatus).toBe(1);
    expect(failures(result).join()).toContain(
      `recording is truncated: ${names.length - 2} of ${names.length} chunks`,
    );
  });

  test('two chunks in each other’s place are found', () => {
    const members = membersOf(bundle);
    const at = members.findIndex(([name]) => name.startsWith('chunks/'));
    const [first, second] = members.slice(at, at + 2);
    if (first && second) {
      members.splice(at, 2, second, first);
    }
    expect(verify(bundleOf(members)).exitStatus).toBe(1);
  });

  test('a chunk more is found', () => {
    const members: Members = [...membersOf(bundle), [`chunks/${'ab'.repeat(32)}`, utf8('extra')]];
    expect(failures(verify(bundleOf(members)))[0]).toContain(
      'chunks: unexpected member "chunks/abab',
    );
  });
});

describe('members', () => {
  test('a duplicate member is found', () => {
    const members = membersOf(bundle);
    const last = members.at(-1);
    expect(verify(bundleOf([...members, ...(last ? [last] : [])])).verdict).toContain(
      'duplicate member "chunks/',
    );
    const [manifest] = members;
    expect(verify(bundleOf([...(manifest ? [manifest] : []), ...members])).verdict).toContain(
      'duplicate member "manifest.dsse"',
    );
  });

  test('an unexpected member is found', () => {
    expect(verify(bundleOf([['README', utf8('hi')], ...membersOf(bundle)])).verdict).toBe(
      'tampered: bundle is malformed: unexpected member "README"',
    );
  });

  test('members out of order are found', () => {
    const [first, second, ...rest] = membersOf(bundle);
    if (first && second) {
      expect(verify(bundleOf([second, first, ...rest])).verdict).toContain('is not in its place');
    }
  });

  test('a missing required member is found', () => {
    const without = membersOf(bundle).filter(([name]) => name !== 'cert.dsse');
    expect(verify(bundleOf(without)).verdict).toContain('member "cert.dsse" is missing');
  });

  test('log proofs of a later version are not passed over', () => {
    const members = membersOf(bundle);
    members.splice(2, 0, ['open.tlog-proof', utf8('x')]);
    const result = verify(bundleOf(members));
    expect(result.exitStatus).toBe(2);
    expect(result.verdict).toBe('incomplete: not checked: log proofs of a later version');
    expect(verify(bundleOf(members), true).exitStatus).toBe(2);
  });

  test('leaves beside the keys, which nobody would look at, are refused', () => {
    const members = membersOf(bundle);
    const at = members.findIndex(([name]) => name === 'keys');
    members.splice(at, 0, ['leaves', randomBytes(64)]);
    expect(verify(bundleOf(members))).toMatchObject({
      exitStatus: 1,
      verdict: expect.stringContaining('leaves in the place of chunks'),
    });
  });

  test('without keys nothing is said to be verified', () => {
    const members = membersOf(bundle).filter(([name]) => name !== 'keys');
    const result = verify(bundleOf(members), true);
    expect(result.exitStatus).toBe(2);
    expect(result.verdict).toContain('the keys of this session were erased');
  });
});

describe('swapped parts', () => {
  for (const name of ['manifest.dsse', 'cert.dsse', 'keys', 'events']) {
    test(`${name} of another session is found`, () => {
      const result = verify(replace(name, () => memberOf(otherBundle, name)));
      expect(result.exitStatus).toBe(1);
      expect(failures(result).length).toBeGreaterThan(0);
    });
  }

  test('a swapped manifest is named', () => {
    const result = verify(replace('manifest.dsse', () => memberOf(otherBundle, 'manifest.dsse')));
    expect(failures(result).join()).toContain('manifest was made for another session certificate');
  });

  test('a swapped certificate is named', () => {
    const result = verify(replace('cert.dsse', () => memberOf(otherBundle, 'cert.dsse')));
    expect(failures(result).join()).toContain(
      'manifest is signed by a key the certificate does not',
    );
  });
});

describe('signatures', () => {
  test('a stripped gateway signature leaves a one-sided recording', () => {
    const envelope = envelopeOf(bundle);
    const stripped = { ...envelope, signatures: envelope.signatures.slice(0, 1) };
    const result = verify(replace('manifest.dsse', () => utf8(encodeEnvelope(stripped))));
    expect(result.exitStatus).toBe(2);
    expect(result.checks.find(({ name }) => name === 'gateway signature')).toMatchObject({
      status: 'incomplete',
      text: 'no gateway countersignature: one-sided recording',
    });
  });

  test('the client alone is never enough: it could have cut off the end of its own session', () => {
    const alone = forged((predicate) => {
      Object.assign(predicate, { cuts: [], tree_size: '0', streams: [] });
    }, 'client');
    const envelope = envelopeOf(bundle);
    const stripped = { ...envelope, signatures: envelope.signatures.slice(0, 1) };
    const bundles = [alone, replace('manifest.dsse', () => utf8(encodeEnvelope(stripped)))];
    expect(bundles.map((bytes) => verify(bytes, true).exitStatus)).not.toContain(0);
    expect(verify(bundles[1] ?? alone, true).verdict).toBe('incomplete: one-sided: client only');
  });

  test('a stripped client signature is tampering, also where one side would do', () => {
    const envelope = envelopeOf(bundle);
    const stripped = { ...envelope, signatures: envelope.signatures.slice(1) };
    const result = verify(
      replace('manifest.dsse', () => utf8(encodeEnvelope(stripped))),
      true,
    );
    expect(result.verdict).toBe("tampered: the client's signature was removed");
  });

  test('a signature by somebody else is found', () => {
    const envelope = appendSignature(envelopeOf(bundle), generateSigningKey());
    const result = verify(replace('manifest.dsse', () => utf8(encodeEnvelope(envelope))));
    expect(result.verdict).toBe(
      'tampered: manifest is signed by a key the certificate does not name',
    );
  });

  test('the same signature twice is found', () => {
    const envelope = appendSignature(envelopeOf(bundle), bench.keys.gatewayKey);
    const result = verify(replace('manifest.dsse', () => utf8(encodeEnvelope(envelope))));
    expect(result.verdict).toBe('tampered: manifest is signed twice by the same key');
  });
});

/** Even with both signing keys, what does not follow from the contents is found. */
describe('a manifest that both signed and that is not true', () => {
  const cuts = (predicate: Record<string, unknown>) => predicate['cuts'] as object[];
  for (const [what, change, text] of [
    ['reordered cuts', (p) => cuts(p).reverse(), 'cut 2 is where cut 0 belongs'],
    ['a dropped last cut', (p) => cuts(p).pop(), 'chunks: unexpected member'],
    [
      'a cut root that is wrong',
      (p) => Object.assign(cuts(p)[1] ?? {}, { root: Buffer.alloc(32).toString('base64') }),
      'sides disagree after cut 0',
    ],
    [
      'a cut signature that is wrong',
      (p) =>
        Object.assign(cuts(p)[1] ?? {}, {
          client: { sig: Buffer.alloc(64).toString('base64'), t: '1' },
        }),
      "the client's signature of cut 1 does not match",
    ],
    [
      'a removed client signature of a cut',
      (p) => Object.assign(cuts(p)[1] ?? {}, { client: null }),
      'cut 1 has no client signature and is not the last',
    ],
    ['another head', (p) => Object.assign(p, { gateway_head: '0'.repeat(64) }), 'the signed head'],
    ['fewer frames', (p) => Object.assign(p, { gateway_frames: '3' }), 'of 3 events are there'],
    [
      'another end',
      (p) => Object.assign(p, { end_reason: 'idle' }),
      'the recording ended otherwise',
    ],
    ['other masked counts', (p) => Object.assign(p, { masked_count: '9' }), 'other masked values'],
    [
      'another owner',
      (p) => Object.assign((p['owners'] as object[])[0] ?? {}, { node_key: BLANK_KEY }),
      'manifest names another gateway',
    ],
    [
      'another kind of a stream',
      (p) => Object.assign((p['streams'] as object[])[1] ?? {}, { kind: 'ssh' }),
      'open stream 1 otherwise than the manifest says',
    ],
    [
      'a stream that was never opened',
      (p) =>
        (p['streams'] as object[]).push({ id: 9, kind: 'ssh', up_bytes: '0', down_bytes: '0' }),
      'the events do not open stream 9',
    ],
    [
      'another start',
      (p) => Object.assign(p, { started: String(Number(p['started']) + 1) }),
      'the recording began at another time',
    ],
    [
      'evidence that is called something else',
      (p) => Object.assign((p['streams'] as object[])[0] ?? {}, { kind: 'ssh' }),
      'stream 0 cannot be of the kind',
    ],
    ['another target', (p) => Object.assign(p, { target: 'x' }), 'manifest names another target'],
    [
      'another policy commit',
      (p) => Object.assign(p, { policy_commit: 'b' }),
      'manifest names another policy commit',
    ],
    ['another tree size', (p) => Object.assign(p, { tree_size: '1' }), 'manifest counts 1 chunk,'],
    [
      'other totals',
      (p) => Object.assign((p['streams'] as object[])[1] ?? {}, { down_bytes: '5' }),
      'gap in stream 1 down',
    ],
    ['interim', (p) => Object.assign(p, { interim: true }), 'claims to be the client’s'],
    [
      'a time outside the certificate',
      (p) => Object.assign(p, { started: '1' }),
      'outside the lifetime',
    ],
  ] as [string, (predicate: Record<string, unknown>) => void, string][]) {
    test(what, () => {
      const result = verify(forged(change));
      expect(result.exitStatus).toBe(1);
      expect(failures(result).join('\n')).toContain(text);
    });
  }

  test('an event that was taken out is named', () => {
    const events = memberOf(bundle, 'events');
    // Magic, segment record, then frames; the first is a group.
    const first = 8 + 101;
    const read = (at: number, size: number) => events.subarray(at, at + size);
    const record = [...readEventsMember(events.length, read)][1];
    const records = record?.type === 'group' ? record.records : [];
    expect(records.length).toBeGreaterThan(1);
    const kept = records.map((part) => 5 + (part.type === 'data' ? 13 : part.body.length));
    const length = 1 + 60 + 4 + kept.reduce((sum, size) => sum + size, 0);
    const without = Buffer.concat([events.subarray(0, first), events.subarray(first + length)]);
    expect(failures(verify(replace('events', () => without))).join()).toContain(
      'event 0 is missing or out of order',
    );
  });

  test('an altered event is named', () => {
    const events = Uint8Array.from(memberOf(bundle, 'events'));
    // A digit inside the JSON of the first event (stream.open of stream 1).
    const at = Buffer.from(events).indexOf('"stream":1') + 9;
    events[at] = 0x33;
    expect(failures(verify(replace('events', () => events))).join()).toContain(
      'event 0 breaks the chain',
    );
  });
});

test('a clock that jumped forward during the session is a warning, not tampering', async () => {
  let jumpedMs = 0;
  const session = await SessionPair.open(bench, {
    certificate: { notAfterMs: Date.now() + 60_000 },
    gatewaySystem: { ...realSystem, nowMs: () => Date.now() + jumpedMs },
  });
  session.openStream(1);
  session.up(1, Buffer.from('SELECT 1'));
  await session.gateway.writer.sync();
  jumpedMs = 3_600_000;
  await session.end();
  const transport = await session.transport();
  const signal = new AbortController().signal;
  const { spools: directory } = bench;
  await uploadSession({ directory, session: session.session, gateway: transport, signal });
  const result = verify(await readBundle(transport.ended));
  expect(result.exitStatus).toBe(0);
  expect(result.checks.find(({ name }) => name === 'times')).toMatchObject({ status: 'warning' });
});

describe('trust', () => {
  test('no pinned key is exit 2, whatever the rest says', () => {
    const result = verifyBundle(bytesSource(bundle), { roots: [], nowMs: Date.now() });
    expect(result).toMatchObject({
      exitStatus: 2,
      verdict: 'not verified: no trusted key for gateway "test-gateway"',
    });
  });

  test('a keyring that another root signed is tampering', () => {
    const note = signKeyring(
      { gateway: 'test-gateway', version: 9, issuedMs: 0, expiresMs: 4e12, keys: [] },
      generateSigningKey(),
    );
    const result = verify(replace('keyring.note', () => utf8(note)));
    expect(failures(result)).toContain('keyring: keyring is not signed by the pinned root key');
  });

  test('a keyring older than the pinned one is not trusted', () => {
    const roots = bench.trust.roots.map((root) => ({ ...root, keyringVersion: 5 }));
    const result = verifyBundle(bytesSource(bundle), { roots, nowMs: Date.now() });
    expect(result.exitStatus).toBe(2);
    expect(result.verdict).toContain('keyring version 1 is older than pinned 5');
  });

  test('of a gateway that is pinned under two addresses the newer keyring counts', () => {
    const [root] = bench.trust.roots;
    const roots = root ? [root, { ...root, keyringVersion: 5 }] : [];
    const result = verifyBundle(bytesSource(bundle), { roots, nowMs: Date.now() });
    expect(result.verdict).toContain('keyring version 1 is older than pinned 5');
  });

  test('an expired keyring is not trusted', () => {
    const nowMs = Date.now() + 400 * 86_400_000;
    expect(verifyBundle(bytesSource(bundle), { ...bench.trust, nowMs }).verdict).toContain(
      'keyring version 1 expired on',
    );
  });
});

test('a bundle of format 1 is called by its name, and neither damaged nor altered', () => {
  const { payload, payloadType } = envelopeOf(bundle);
  const statement = JSON.parse(Buffer.from(payload).toString());
  statement.predicateType = 'urn:hoop:session-recording:v1';
  const old = signEnvelope(payloadType, utf8(canonicalJson(statement)), pair.sessionKey);
  const bytes = replace('manifest.dsse', () => utf8(encodeEnvelope(old)));
  const text = 'the recording has format 1, which this version does not read';
  expect(verify(bytes, true)).toMatchObject({ exitStatus: 2, verdict: `not verified: ${text}` });
  expect(verify(bytes).checks.filter(({ status }) => status === 'failed')).toEqual([]);
  expect(() => readSession(bytesSource(bytes))).toThrow(text);
});

test('random bytes and random damage never escape as an exception', () => {
  const random = seededRandom(11);
  for (let round = 0; round < 150; round += 1) {
    const bytes = Buffer.from(round % 3 === 0 ? randomBytes(5_000) : bundle);
    for (let flips = 0; flips < 5; flips += 1) {
      bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    }
    expect(verify(bytes).exitStatus).toBe(1);
    // What is cut off besides is incomplete at best.
    const short = bytes.subarray(0, 40_000);
    expect(verify(short).exitStatus).toBeGreaterThan(0);
    expect(() => readSession(bytesSource(short))).toThrow(/the recording cannot be read/);
  }
});
