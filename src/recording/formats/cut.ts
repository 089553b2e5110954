/**
 * What the two sides sign about a cut, and a cut's body in a recording.
 *
 *     cut  = "hoop/cut/v2\0" ‖ session id [16] ‖ u32 epoch ‖ u64 tree size ‖ root [32] ‖ u64 t_ms
 *            ‖ head [32] ‖ u64 frames
 *     ack  = "hoop/ack/v2\0" ‖ the same, with the gateway's own time, head and frames
 *     tail = "hoop/tail/v2\0" ‖ as an ack: what the gateway signs alone, and no cut asked for
 *
 * The offsets are not signed by themselves: every leaf below the root names its place. Of an ack, head
 * and frames are those of the gateway's recording before the frame that holds it: what was written
 * until then, events and times too, is fixed. Of a cut they are those of the ack before it, zeros in
 * the first: so the client, too, has signed all but the last of them.
 */

import { FormatError } from '../../format-error.ts';
import { sessionIdBytes } from '../../session-id.ts';
import { SIGNATURE_LENGTH, type SigningKey, signEd25519 } from '../keys/ed25519.ts';
import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { fromBase64, toBase64, utf8 } from './encoding.ts';
import { HASH_LENGTH } from './merkle-tree.ts';
import type { AgreedCut, CutAck, CutProposal, RecordingPoint, StreamOffsets } from './types.ts';

/** Streams that one cut may move: as many as a session can ever open. */
export const MAX_CUT_STREAMS = 40_000;

const CUT_CONTEXT = utf8('hoop/cut/v2\0');
const ACK_CONTEXTS = { ack: utf8('hoop/ack/v2\0'), tail: utf8('hoop/tail/v2\0') };

export interface CutPoint {
  readonly epoch: number;
  readonly treeSize: number;
  /** 32 bytes. */
  readonly root: Uint8Array;
  readonly timeMs: number;
}

/** @param previous of the ack before; `NO_POINT` for the first cut */
export function cutSigningBytes(
  session: string,
  cut: CutPoint,
  previous: RecordingPoint,
): Uint8Array {
  return signingBytes(CUT_CONTEXT, session, cut, previous);
}

export function ackSigningBytes(
  kind: 'ack' | 'tail',
  session: string,
  cut: CutPoint,
  at: RecordingPoint,
): Uint8Array {
  return signingBytes(ACK_CONTEXTS[kind], session, cut, at);
}

function signingBytes(
  context: Uint8Array,
  session: string,
  cut: CutPoint,
  at: RecordingPoint,
): Uint8Array {
  return new ByteWriter(context.length + 16 + 4 + 8 + HASH_LENGTH + 8 + HASH_LENGTH + 8)
    .bytes(context)
    .bytes(sessionIdBytes(session))
    .u32(cut.epoch)
    .u64(cut.treeSize)
    .bytes(cut.root)
    .u64(cut.timeMs)
    .bytes(at.head)
    .u64(at.frames)
    .finish();
}

/** What the gateway signs of a cut, or of what no cut covers. */
export function signAck(
  kind: 'ack' | 'tail',
  key: SigningKey,
  session: string,
  cut: CutPoint,
  at: RecordingPoint,
): CutAck {
  const signature = toBase64(signEd25519(key, ackSigningBytes(kind, session, cut, at)));
  const { epoch, timeMs } = cut;
  return { epoch, timeMs, signature, head: toBase64(at.head), frames: at.frames };
}

/** Before the first ack. */
export const NO_POINT: RecordingPoint = { head: new Uint8Array(HASH_LENGTH), frames: 0 };

/** Where the gateway's recording stood when it signed; undefined: never. @throws FormatError */
export function pointOf(ack: Pick<CutAck, 'head' | 'frames'> | undefined): RecordingPoint {
  return ack === undefined
    ? NO_POINT
    : { head: fromBase64(ack.head, 'the head of a cut', HASH_LENGTH), frames: ack.frames };
}

export function rootOf(text: string): Uint8Array {
  return fromBase64(text, 'the root of a cut', HASH_LENGTH);
}

/** proposed: by the client, in its journal. agreed: both signatures. alone: the gateway's only. */
export type RecordedCut =
  | { readonly type: 'proposed'; readonly proposal: CutProposal }
  | ({ readonly type: 'agreed' } & AgreedCut)
  | { readonly type: 'alone'; readonly cut: GatewayCut };

/** What the gateway recorded after the last agreed cut, signed as an ack that has no cut. */
export type GatewayCut = CutProposal & Pick<CutAck, 'head' | 'frames'>;

const KINDS = { proposed: 1, agreed: 2, alone: 3 } as const;

/**
 *     u8 kind | u32 epoch | u64 tree size | root [32]
 *     | client: u64 t_ms | signature [64]
 *     | gateway: u64 t_ms | signature [64] | head [32] | u64 frames
 *     | u32 n | n × (u32 stream | u64 up | u64 down)
 *
 * A side that has not signed is all zeros.
 */
export function encodeRecordedCut(cut: RecordedCut): Uint8Array {
  const point = cut.type === 'alone' ? cut.cut : cut.proposal;
  const client = cut.type === 'alone' ? undefined : cut.proposal;
  const gateway = cut.type === 'alone' ? cut.cut : cut.type === 'agreed' ? cut.ack : undefined;
  const writer = new ByteWriter(BODY_LENGTH + 20 * point.streams.length)
    .u8(KINDS[cut.type])
    .u32(point.epoch)
    .u64(point.treeSize)
    .bytes(rootOf(point.root));
  for (const side of [client, gateway]) {
    writer
      .u64(side?.timeMs ?? 0)
      .bytes(side === undefined ? NO_SIGNATURE : signatureOf(side.signature));
  }
  const at = pointOf(gateway);
  writer.bytes(at.head).u64(at.frames);
  writer.u32(point.streams.length);
  for (const { stream, up, down } of point.streams) {
    writer.u32(stream).u64(up).u64(down);
  }
  return writer.finish();
}

const NO_SIGNATURE = new Uint8Array(SIGNATURE_LENGTH);
const BODY_LENGTH = 1 + 4 + 8 + HASH_LENGTH + 2 * (8 + SIGNATURE_LENGTH) + HASH_LENGTH + 8 + 4;

/** @throws FormatError */
export function decodeRecordedCut(body: Uint8Array): RecordedCut {
  const reader = new ByteReader(body, 'a cut');
  const kind = reader.u8();
  const epoch = reader.u32();
  const treeSize = reader.u64();
  const root = toBase64(reader.bytes(HASH_LENGTH));
  const client = readSide(reader);
  const gateway = readGateway(reader);
  const count = reader.u32();
  if (count > MAX_CUT_STREAMS) {
    throw new FormatError('a cut lists too many streams');
  }
  const streams: StreamOffsets[] = [];
  for (let index = 0; index < count; index += 1) {
    streams.push({ stream: reader.u32(), up: reader.u64(), down: reader.u64() });
  }
  reader.end();
  const point = { epoch, streams, treeSize, root };
  if (kind === KINDS.proposed && client && !gateway) {
    return { type: 'proposed', proposal: { ...point, ...client } };
  }
  if (kind === KINDS.agreed && client && gateway) {
    return { type: 'agreed', proposal: { ...point, ...client }, ack: { epoch, ...gateway } };
  }
  if (kind === KINDS.alone && !client && gateway) {
    return { type: 'alone', cut: { ...point, ...gateway } };
  }
  throw new FormatError('a cut is of an unknown kind');
}

function readGateway(reader: ByteReader): Omit<CutAck, 'epoch'> | undefined {
  const side = readSide(reader);
  const head = reader.bytes(HASH_LENGTH);
  const frames = reader.u64();
  if (side === undefined && (frames !== 0 || head.some((byte) => byte !== 0))) {
    throw new FormatError('a cut has a head without a signature');
  }
  return side && { ...side, head: toBase64(head), frames };
}

function readSide(reader: ByteReader): Pick<CutAck, 'timeMs' | 'signature'> | undefined {
  const timeMs = reader.u64();
  const signature = reader.bytes(SIGNATURE_LENGTH);
  if (signature.every((byte) => byte === 0)) {
    if (timeMs !== 0) {
      throw new FormatError('a cut has a time without a signature');
    }
    return undefined;
  }
  return { timeMs, signature: toBase64(signature) };
}

export function signatureOf(text: string): Uint8Array {
  return fromBase64(text, 'the signature of a cut', SIGNATURE_LENGTH);
}
