/**
 * What the two sides sign about a cut, and a cut's body in a recording.
 *
 *     cut  = "hoop/cut/v1\0" ‖ session id [16] ‖ u32 epoch ‖ u64 tree size ‖ root [32] ‖ u64 t_ms
 *     ack  = "hoop/ack/v1\0" ‖ the same, with the gateway's own time
 *
 * The offsets are not signed by themselves: every leaf below the root names its place.
 */

import { FormatError } from '../format-error.ts';
import { sessionIdBytes } from '../session-id.ts';
import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { SIGNATURE_LENGTH } from './ed25519.ts';
import { fromBase64, toBase64, utf8 } from './encoding.ts';
import { HASH_LENGTH } from './merkle-tree.ts';
import type { AgreedCut, CutAck, CutProposal, StreamOffsets } from './types.ts';

/** Streams that one cut may move: as many as a session can ever open. */
export const MAX_CUT_STREAMS = 40_000;

const CONTEXTS = { cut: utf8('hoop/cut/v1\0'), ack: utf8('hoop/ack/v1\0') };

export interface CutPoint {
  readonly epoch: number;
  readonly treeSize: number;
  /** 32 bytes. */
  readonly root: Uint8Array;
  readonly timeMs: number;
}

export function cutSigningBytes(kind: 'cut' | 'ack', session: string, cut: CutPoint): Uint8Array {
  const context = CONTEXTS[kind];
  return new ByteWriter(context.length + 16 + 4 + 8 + HASH_LENGTH + 8)
    .bytes(context)
    .bytes(sessionIdBytes(session))
    .u32(cut.epoch)
    .u64(cut.treeSize)
    .bytes(cut.root)
    .u64(cut.timeMs)
    .finish();
}

/** proposed: by the client, in its own file. agreed: both signatures. alone: the gateway's only. */
export type RecordedCut =
  | { readonly type: 'proposed'; readonly proposal: CutProposal }
  | ({ readonly type: 'agreed' } & AgreedCut)
  | { readonly type: 'alone'; readonly cut: GatewayCut };

/** What the gateway recorded after the last agreed cut, signed as an ack that has no cut. */
export type GatewayCut = CutProposal;

const KINDS = { proposed: 1, agreed: 2, alone: 3 } as const;

/**
 *     u8 kind | u32 epoch | u64 tree size | root [32]
 *     | client: u64 t_ms | signature [64] | gateway: u64 t_ms | signature [64]
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
    .bytes(fromBase64(point.root, 'the root of a cut', HASH_LENGTH));
  for (const side of [client, gateway]) {
    writer
      .u64(side?.timeMs ?? 0)
      .bytes(side === undefined ? NO_SIGNATURE : signatureOf(side.signature));
  }
  writer.u32(point.streams.length);
  for (const { stream, up, down } of point.streams) {
    writer.u32(stream).u64(up).u64(down);
  }
  return writer.finish();
}

const NO_SIGNATURE = new Uint8Array(SIGNATURE_LENGTH);
const BODY_LENGTH = 1 + 4 + 8 + HASH_LENGTH + 2 * (8 + SIGNATURE_LENGTH) + 4;

/** @throws FormatError */
export function decodeRecordedCut(body: Uint8Array): RecordedCut {
  const reader = new ByteReader(body, 'a cut');
  const kind = reader.u8();
  const epoch = reader.u32();
  const treeSize = reader.u64();
  const root = toBase64(reader.bytes(HASH_LENGTH));
  const client = readSide(reader);
  const gateway = readSide(reader);
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
