/** The control channel of a session, and the cuts and facts that close its recording. */
import * as z from 'zod';
import { StreamKind } from '../stream-kinds.ts';
import { API_VERSION } from './http.ts';

const Offsets = z.object({ stream: z.number(), up: z.number(), down: z.number() }).readonly();
const Lost = z.object({
  stream: z.number(),
  direction: z.union([z.literal(0), z.literal(1)]),
  from: z.number().int().nonnegative(),
  to: z.number().int().nonnegative(),
});

export const CutProposalSchema = z.object({
  epoch: z.number().int().nonnegative(),
  streams: z.array(Offsets).readonly(),
  treeSize: z.number().int().nonnegative(),
  /** base64 of 32 bytes. */
  root: z.string(),
  timeMs: z.number(),
  /** base64 Ed25519 by the session key: recording/formats/cut.ts. */
  signature: z.string(),
});

export const CutAckSchema = z.object({
  epoch: z.number().int().nonnegative(),
  timeMs: z.number(),
  /** base64 Ed25519 by the gateway: recording/formats/cut.ts. */
  signature: z.string(),
  /** Of the gateway's recording where it holds the cut: base64 of 32 bytes … */
  head: z.string(),
  /** … after so many frames. */
  frames: z.number().int().nonnegative(),
});

/** Where the gateway stands with a session that has ended: what a late cut may cover. */
export const CutsReply = z.object({
  v: z.literal(API_VERSION),
  state: z.enum(['live', 'ended', 'sealed', 'complete']),
  /** Everything that the gateway has recorded, of every stream. */
  recorded: z.array(Offsets),
  /** What it has lost and the client has sent back. */
  lost: z.array(Lost),
  /** How many cuts both sides have signed; the next epoch. */
  agreed: z.number().int().nonnegative(),
  lastAck: CutAckSchema.optional(),
});
export type CutsReply = z.infer<typeof CutsReply>;

/** What only the gateway knows of a sealed session and the manifest must name. base64 = bytes. */
export const GatewayFacts = z.object({
  head: z.string(),
  frames: z.number().int().nonnegative(),
  startedMs: z.number().int(),
  endedMs: z.number().int(),
  endReason: z.string(),
  maskedValues: z.number().int().nonnegative(),
  streams: z.array(
    z.object({ stream: z.number(), kind: z.union([z.literal('evidence'), StreamKind]) }),
  ),
  lost: z.array(Lost),
  /** What was recorded after the last agreed cut: signed by the gateway alone. */
  tail: z
    .object({
      epoch: z.number().int().nonnegative(),
      streams: z.array(Offsets),
      treeSize: z.number().int().nonnegative(),
      root: z.string(),
      timeMs: z.number().int(),
      signature: z.string(),
    })
    .optional(),
});
export type GatewayFacts = z.infer<typeof GatewayFacts>;

export const SealReply = z.object({
  v: z.literal(API_VERSION),
  facts: GatewayFacts,
  /** The recording is kept until then, milliseconds since 1970; absent: no end is known. */
  keptUntilMs: z.number().int().optional(),
});
export type SealReply = z.infer<typeof SealReply>;

/**
 * Text messages of the control channel. Binary messages are the bytes of stream 0 (evidence
 * lines) and nothing else.
 */
export const ToGateway = z.discriminatedUnion('type', [
  z.object({ type: z.literal('cut'), cut: CutProposalSchema }),
  /** All that has arrived is confirmed; more does not arrive because a local client does not read. */
  z.object({ type: z.literal('caughtUp') }),
  z.object({ type: z.literal('streamEnd'), stream: z.number(), up: z.number(), down: z.number() }),
  z.object({ type: z.literal('close') }),
]);
export type ToGateway = z.infer<typeof ToGateway>;

export const ToClient = z.discriminatedUnion('type', [
  /** Offsets of the up streams that are safely on the gateway's disk. */
  z.object({
    type: z.literal('recorded'),
    streams: z.array(z.object({ stream: z.number(), up: z.number() })),
  }),
  z.object({ type: z.literal('cutAck'), ack: CutAckSchema }),
  z.object({ type: z.literal('streamEnd'), stream: z.number(), up: z.number(), down: z.number() }),
  /** The session ends; the same is said on stream 0. No new streams from here on. */
  z.object({ type: z.literal('closing'), reason: z.string(), message: z.string() }),
  z.object({ type: z.literal('closed') }),
]);
export type ToClient = z.infer<typeof ToClient>;
