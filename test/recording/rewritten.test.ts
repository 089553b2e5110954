/** What a gateway that has all of its own keys cannot make of a recording afterwards. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readBundleContents } from '../../src/recording/bundle/bundle-contents.ts';
import { bytesSource } from '../../src/recording/bundle/bundle-source.ts';
import { EVENTS_MAGIC, readEventsMember } from '../../src/recording/bundle/events-member.ts';
import { leafAt, openRecording } from '../../src/recording/ended/opened-recording.ts';
import { canonicalJson } from '../../src/recording/formats/canonical-json.ts';
import {
  decodeRecordedCut,
  encodeRecordedCut,
  rootOf,
  signAck,
} from '../../src/recording/formats/cut.ts';
import { encodeDataPrefix } from '../../src/recording/formats/data-body.ts';
import { encodeEnvelope, signEnvelope } from '../../src/recording/formats/dsse.ts';
import { toHex, utf8 } from '../../src/recording/formats/encoding.ts';
import {
  encodeFrameHeader,
  type FrameType,
  TAG_LENGTH,
} from '../../src/recording/formats/frame.ts';
import { type Committed, FrameDigests } from '../../src/recording/formats/frame-digest.ts';
import { encodeGroupHead, encodeGroupRecordHead } from '../../src/recording/formats/group-body.ts';
import { HeadChain } from '../../src/recording/formats/head-chain.ts';
import {
  encodeManifest,
  MANIFEST_TYPE,
  type Manifest,
} from '../../src/recording/formats/manifest.ts';
import type { Direction } from '../../src/recording/formats/types.ts';
import { loadRecordingKeys } from '../../src/recording/keys/recording-keys.ts';
import { type Verification, verifyBundle } from '../../src/recording/verify/verify.ts';
import { bundleOf, membersOf } from './bundle-of.ts';
import { RecordingBench, readBundle, SessionPair } from './session-pair.ts';

let bench: RecordingBench;
let pair: SessionPair;
let bundle: Buffer;

/** Three cuts with events between them; then the client is lost, and the gateway signs alone. */
beforeAll(async () => {
  bench = await RecordingBench.create();
  pair = await SessionPair.open(bench);
  pair.openStream(1);
  for (let round = 0; round < 3; round += 1) {
    pair.up(1, Buffer.from(`SELECT ${round}`));
    pair.gateway.writer.event({ type: 'dispute', epoch: round, ours: 'truth', theirs: 'x' });
    pair.down(1, randomBytes(1_000));
    await pair.gateway.writer.sync();
    await pair.client.finish(new AbortController().signal);
  }
  pair.gateway.writer.event({ type: 'dispute', epoch: 3, ours: 'truth', theirs: 'x' });
  await pair.gateway.close({ reason: 'client_lost' });
  await pair.client.close();
  const ended = await bench.ended(pair.session);
  await ended.signAlone();
  bundle = await readBundle(ended);
});
afterAll(() => bench[Symbol.asyncDispose]());

function verify(bytes: Uint8Array): Verification {
  return verifyBundle(bytesSource(bytes), { ...bench.trust, allowOneSided: true });
}

function failuresOf(bytes: Uint8Array): string {
  const { checks } = verify(bytes);
  return checks.flatMap(({ status, text }) => (status === 'failed' ? [text] : [])).join('\n');
}

type Part =
  | { readonly type: 'event'; readonly body: Uint8Array }
  | {
      readonly type: 'data';
      readonly stream: number;
      readonly direction: Direction;
      readonly offset: number;
      readonly length: number;
    };

interface Frame {
  readonly type: FrameType;
  readonly timeUs: number;
  /** Of a group all of them; of other frames the only one. */
  parts: Part[];
  /** Of what is neither data nor events. */
  body: Uint8Array;
  withheld?: true;
}

/** The events as they are, one frame after the other. */
function framesOf(events: Uint8Array): { readonly segment: Uint8Array; readonly frames: Frame[] } {
  const read = (at: number, length: number) => events.subarray(at, at + length);
  const frames: Frame[] = [];
  let segment: Uint8Array = new Uint8Array();
  for (const record of readEventsMember(events.length, read)) {
    if (record.type === 'segment') {
      segment = Uint8Array.from(record.bytes);
      continue;
    }
    const { type, timeUs } = record.header;
    const none = new Uint8Array();
    if (record.type === 'data') {
      const { data, length } = record;
      frames.push({ type, timeUs, body: none, parts: [{ type: 'data', ...data, length }] });
    } else if (record.type === 'group') {
      const parts = record.records.map(
        (part): Part =>
          part.type === 'data' ? { type: 'data', ...part.data, length: part.length } : part,
      );
      frames.push({ type, timeUs, body: none, parts });
    } else if (record.type === 'frame') {
      const isEvent = record.header.type === 'event';
      frames.push({
        type,
        timeUs,
        body: record.body,
        parts: isEvent ? [{ type: 'event', body: record.body }] : [],
      });
    }
  }
  return { segment, frames };
}

function keptOf(part: Part): Uint8Array {
  return part.type === 'event'
    ? part.body
    : encodeDataPrefix(part.stream, part.direction, part.offset);
}

function wholeLength(part: Part): number {
  return keptOf(part).length + (part.type === 'data' ? part.length : 0);
}

interface Forgery {
  readonly change?: (frames: Frame[]) => void;
  /** Also signs each answer to a cut anew, for where the cut stands now. */
  readonly resign?: boolean;
  readonly manifest?: (manifest: Manifest) => Manifest;
  readonly members?: (members: [string, Uint8Array][]) => [string, Uint8Array][];
}

/** What the gateway can make with its data key, its signing key and K. */
function forged({ change, resign, manifest: edit, members }: Forgery): Buffer {
  const contents = readBundleContents(bytesSource(bundle));
  const { session } = contents.manifest;
  const digests = new FrameDigests(contents.keys?.eventKey ?? new Uint8Array(32));
  const found = new Map(membersOf(bundle));
  const { segment, frames } = framesOf(found.get('events') ?? new Uint8Array());
  change?.(frames);
  const parts: Uint8Array[] = [EVENTS_MAGIC, Uint8Array.of(1), segment];
  const cuts = contents.manifest.cuts.map((cut) => ({ ...cut }));
  const chain = new HeadChain();
  chain.startSegment(segment);
  let nextCut = 0;
  for (const [seq, { type, timeUs, parts: records, body: raw, withheld }] of frames.entries()) {
    let body = raw;
    const listed = cuts[nextCut];
    if (type === 'cut' && listed !== undefined) {
      nextCut += 1;
      const cut = decodeRecordedCut(body);
      if (cut.type !== 'agreed') {
        throw new TypeError('all cuts were agreed on');
      }
      const { epoch, treeSize, root } = listed;
      const point = { epoch, treeSize, root: rootOf(root), timeMs: cut.ack.timeMs };
      const made = signAck('ack', bench.keys.gatewayKey, session, point, {
        head: chain.head,
        frames: seq,
      });
      const signature = resign === true ? made.signature : cut.ack.signature;
      body = encodeRecordedCut({ ...cut, ack: { ...made, signature } });
      cuts[nextCut - 1] = { ...listed, gateway: { timeMs: made.timeMs, signature } };
    }
    const isGroup = type === 'group';
    const kept = isGroup
      ? [
          encodeGroupHead(records.length),
          ...records.flatMap((part) => [
            encodeGroupRecordHead(part.type, wholeLength(part)),
            keptOf(part),
          ]),
        ]
      : records.length === 1
        ? records.map(keptOf)
        : [body];
    const data = records.reduce((sum, part) => sum + (part.type === 'data' ? part.length : 0), 0);
    const length = kept.reduce((sum, bytes) => sum + bytes.length, data);
    const committed: Committed[] =
      records.length === 0
        ? [{ type: type as 'cut', body }]
        : records.map((part) => (part.type === 'data' ? { type: 'data', place: part } : part));
    const digest = digests.of(type, seq, committed);
    const header = encodeFrameHeader({
      type,
      seq,
      timeUs,
      digest,
      bodyLength: length + TAG_LENGTH,
    });
    parts.push(Uint8Array.of(withheld ? 3 : 2), header, ...(withheld ? [] : kept));
    chain.add(header);
  }
  const manifest: Manifest = {
    ...contents.manifest,
    cuts,
    gatewayHead: chain.head,
    gatewayFrames: frames.length,
  };
  const payload = encodeManifest(edit?.(manifest) ?? manifest);
  const envelope = signEnvelope(MANIFEST_TYPE, payload, bench.keys.gatewayKey);
  found.set('manifest.dsse', utf8(encodeEnvelope(envelope)));
  found.set('events', Buffer.concat(parts));
  return bundleOf(members?.([...found]) ?? [...found]);
}

/** Of the nth event that tells of a dispute. */
function lie(frames: Frame[], nth: number): void {
  let left = nth;
  for (const frame of frames) {
    for (const [at, part] of frame.parts.entries()) {
      const text = part.type === 'event' ? Buffer.from(part.body).toString() : '';
      if (text.includes('"ours":"truth"')) {
        if (left === 0) {
          const body = utf8(text.replace('truth', 'liars'));
          frame.parts[at] = { type: 'event', body };
          frame.body = frame.type === 'event' ? body : frame.body;
          return;
        }
        left -= 1;
      }
    }
  }
  throw new TypeError('there is no such event');
}

test('what is put together again as it was verifies', () => {
  expect(forged({}).equals(bundle)).toBe(true);
  expect(verify(bundle)).toMatchObject({ exitStatus: 0 });
});

describe('events that were written before an answer to a cut', () => {
  test('cannot be changed without another answer', () => {
    for (const nth of [0, 1, 2]) {
      const bytes = forged({ change: (frames) => lie(frames, nth) });
      expect(failuresOf(bytes)).toContain(`the gateway's signature of cut ${nth} does not match`);
    }
  });

  test('cannot be changed with other answers, since the next cut of the client names them', () => {
    for (const nth of [0, 1]) {
      const bytes = forged({ change: (frames) => lie(frames, nth), resign: true });
      expect(failuresOf(bytes)).toContain(
        `the client's signature of cut ${nth + 1} does not match`,
      );
    }
  });

  test('are the gateway’s word from the last but one on, while no client signs the manifest', () => {
    // What 0002 says of a one-sided recording; and of what no cut follows.
    const last = forged({ change: (frames) => lie(frames, 2), resign: true });
    expect(verify(last)).toMatchObject({ exitStatus: 0 });
    expect(verify(forged({ change: (frames) => lie(frames, 3) }))).toMatchObject({ exitStatus: 0 });
  });

  test('cannot be taken out, moved or given another time', () => {
    const changes: ((frames: Frame[]) => void)[] = [
      (frames) =>
        frames.splice(
          frames.findIndex(({ parts }) => parts[0]?.type === 'event'),
          1,
        ),
      (frames) => frames.splice(1, 2, ...frames.slice(1, 3).reverse()),
      (frames) => frames.splice(1, 1, { ...(frames[1] as Frame), timeUs: frames[0]?.timeUs ?? 0 }),
    ];
    for (const change of changes) {
      expect(verify(forged({ change })).exitStatus).toBe(1);
      expect(verify(forged({ change, resign: true })).exitStatus).toBe(1);
    }
  });
});

describe('data of which nobody signed the content', () => {
  const add =
    (part: Extract<Part, { type: 'data' }>, at = 1) =>
    (frames: Frame[]) => {
      const frame = {
        type: 'data',
        timeUs: frames[at]?.timeUs ?? 0,
        body: new Uint8Array(),
      } as const;
      frames.splice(at, 0, { ...frame, parts: [part] });
    };
  const piece = { type: 'data', stream: 1, direction: 1, offset: 0, length: 5 } as const;

  test.each([
    ['of a stream that the manifest does not list', { ...piece, stream: 7 }, 'that nobody signed'],
    ['beyond the end of its stream', { ...piece, offset: 3_000 }, 'gap in stream 1'],
    ['that was there before', piece, 'gap in stream 1'],
    ['without a byte', { ...piece, length: 0 }, 'gap in stream 1'],
  ])('%s is found', (_what, part, text) => {
    for (const at of [1, 3]) {
      expect(failuresOf(forged({ change: add(part, at), resign: true }))).toContain(text);
    }
  });

  test('behind the total of its stream is found', () => {
    const change = (frames: Frame[]) =>
      add(
        { ...piece, offset: 3_000 },
        frames.findIndex(({ type }) => type === 'end'),
      )(frames);
    expect(failuresOf(forged({ change, resign: true }))).toContain('stream 1 that nobody signed');
  });

  test('before its stream was opened is found', () => {
    const change = (frames: Frame[]) => {
      const [first] = frames;
      first?.parts.reverse();
    };
    expect(failuresOf(forged({ change, resign: true }))).toContain('before it was opened');
  });

  test('left out is found', () => {
    const change = (frames: Frame[]) => {
      const at = frames.findLastIndex(({ parts }) => parts.some(({ type }) => type === 'data'));
      const frame = frames[at] as Frame;
      frame.parts = frame.parts.filter(({ type }) => type !== 'data');
      if (frame.parts.length === 0) {
        frames.splice(at, 1);
      }
    };
    expect(failuresOf(forged({ change, resign: true }))).toContain('another length of stream 1');
  });
});

describe('what is not shown', () => {
  const withhold = (frames: Frame[]) => {
    for (const frame of frames) {
      if (frame.parts.every(({ type }) => type === 'event') && frame.parts.length > 0) {
        frame.withheld = true;
        return;
      }
    }
  };
  const keysWith =
    (change: (keys: Record<string, unknown>) => void) => (members: [string, Uint8Array][]) =>
      members.map(([name, bytes]): [string, Uint8Array] => {
        if (name !== 'keys') {
          return [name, bytes];
        }
        const keys = JSON.parse(Buffer.from(bytes).toString());
        change(keys);
        return [name, utf8(canonicalJson(keys))];
      });

  test('is refused beside the key to guess it by', () => {
    expect(failuresOf(forged({ change: withhold }))).toContain(
      'is withheld, and the key to guess it is not',
    );
  });

  test('leaves the rest incomplete, and the chain and the signatures checked', () => {
    const members = keysWith((keys) => Object.assign(keys, { event_key: null }));
    const result = verify(forged({ change: withhold, members }));
    expect(result).toMatchObject({ exitStatus: 2, verdict: expect.stringContaining('withheld') });
    expect(result.checks.filter(({ status }) => status === 'failed')).toEqual([]);
    const lied = forged({ change: (frames) => lie(frames, 0), members });
    expect(failuresOf(lied)).toContain("the gateway's signature of cut 0 does not match");
  });

  test('because the keys were erased: the leaves give the roots, the headers the heads', async () => {
    const directory = pair.gateway.directory;
    const keys = loadRecordingKeys(bench.store.keysDir, pair.session);
    const { hasher } = bench.store;
    const opened = await openRecording({ directory, session: pair.session, keys, hasher });
    const leaves = Buffer.concat(opened.places.map((_, at) => leafAt(opened, at)));
    const erased = (kept: Uint8Array) =>
      forged({
        change: (frames) => {
          for (const frame of frames) frame.withheld = true;
        },
        members: (members) => [
          ...members.filter(([name]) => name !== 'keys' && !name.startsWith('chunks/')),
          ['leaves', kept],
        ],
      });
    const result = verify(erased(leaves));
    const of = (wanted: string) => result.checks.find(({ name }) => name === wanted)?.status;
    expect([of('tree'), of('streams'), of('cuts')]).toEqual(['ok', 'ok', 'ok']);
    expect([of('chunks'), of('head chain')]).toEqual(['incomplete', 'incomplete']);
    expect(result).toMatchObject({ exitStatus: 2 });
    const other = Buffer.from(leaves);
    other[40] = (other[40] ?? 0) ^ 1;
    expect(failuresOf(erased(other))).toContain('the chunks do not produce the signed root');
    expect(toHex(leaves.subarray(0, 32))).toBe(toHex(opened.leaves.subarray(0, 32)));
  });
});
