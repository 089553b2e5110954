/**
 * The manifest: an in-toto Statement about the whole session, signed by the client's session key
 * and by the gateway over the same bytes, or by the gateway alone when there is no client.
 * https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
 */
import { createHash } from 'node:crypto';
import * as z from 'zod';
import { FormatError, OldFormatError } from '../../format-error.ts';
import { isSessionId } from '../../session-id.ts';
import { StreamKind } from '../../stream-kinds.ts';
import { publicKeyFromBase64 } from '../keys/ed25519.ts';
import { canonicalJson, parseCanonicalJson } from './canonical-json.ts';
import { MAX_CUT_STREAMS, rootOf, signatureOf } from './cut.ts';
import type { Envelope } from './dsse.ts';
import { fromHex, toBase64, toHex, utf8 } from './encoding.ts';
import { HASH_LENGTH } from './merkle-tree.ts';
import { parseShape } from './parse-shape.ts';
import { type Direction, END_REASONS, type EndReason, type StreamOffsets } from './types.ts';

export const MANIFEST_TYPE = 'application/vnd.in-toto+json';
const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
const PREDICATE_TYPE = 'urn:hoop:session-recording:v2';
const OLD_PREDICATE_TYPE = 'urn:hoop:session-recording:v1';

export interface ManifestStream extends StreamOffsets {
  readonly kind: 'evidence' | StreamKind;
}

export interface ManifestCut {
  readonly epoch: number;
  readonly treeSize: number;
  /** base64. */
  readonly root: string;
  /** The streams that moved, and where they stood then. */
  readonly streams: readonly StreamOffsets[];
  /** Absent in the gateway's own last cut: the client has not confirmed what it covers. */
  readonly client: CutSignature | undefined;
  readonly gateway: CutSignature;
}

export interface CutSignature {
  readonly timeMs: number;
  /** base64. */
  readonly signature: string;
}

export interface Manifest {
  readonly session: string;
  /** SHA-256 of the certificate's envelope. */
  readonly certificateSha256: Uint8Array;
  readonly target: string;
  readonly policyCommit: string;
  readonly treeSize: number;
  readonly root: Uint8Array;
  readonly streams: readonly ManifestStream[];
  readonly cuts: readonly ManifestCut[];
  readonly gatewayHead: Uint8Array;
  readonly gatewayFrames: number;
  /** Who wrote it, in order: one, until a recording can be taken over. */
  readonly owners: readonly Owner[];
  /** Where a log has the session; this version keeps none. */
  readonly log: { readonly origin: string; readonly openIndex: number } | undefined;
  /** What the gateway has lost and the client has sent back, in order; repair.ts. */
  readonly lost: readonly LostRange[];
  /** Of the client's own record; absent when the gateway signs alone. */
  readonly clientJournalSha256: Uint8Array | undefined;
  readonly startedMs: number;
  readonly endedMs: number;
  readonly endReason: EndReason;
  readonly maskedValues: number;
  /** Made before the recording was sealed, by the gateway alone: a later one may say more. */
  readonly interim: boolean;
}

export interface Owner {
  /** Of the gateway that signed from this cut on. */
  readonly nodeKey: Uint8Array;
  readonly term: number;
  readonly fromCut: number;
}

/** Bytes of a stream for which there is the client's word alone. */
export interface LostRange {
  readonly stream: number;
  readonly direction: Direction;
  readonly from: number;
  readonly to: number;
}

/** 64-bit values: decimal, no sign, no leading zero, exact in a double. */
const Decimal = z
  .string()
  .regex(/^(0|[1-9][0-9]{0,15})$/)
  .refine((text) => Number.isSafeInteger(Number(text)));
const Uint32 = z.number().int().min(0).max(0xffff_ffff);
const Offsets = z.tuple([Uint32, Decimal, Decimal]);
const Signed = z.strictObject({ sig: z.string(), t: Decimal });

/** A recording changes hands when a gateway dies: not often. */
const MAX_OWNERS = 100;

const Predicate = z.strictObject({
  session_id: z.string().refine(isSessionId),
  cert_sha256: z.string(),
  target: z.string(),
  policy_commit: z.string(),
  tree_size: Decimal,
  streams: z.array(
    z.strictObject({
      id: Uint32,
      kind: z.union([z.literal('evidence'), StreamKind]),
      up_bytes: Decimal,
      down_bytes: Decimal,
    }),
  ),
  cuts: z.array(
    z.strictObject({
      epoch: Uint32,
      size: Decimal,
      root: z.string(),
      streams: z.array(Offsets).max(MAX_CUT_STREAMS),
      client: z.nullable(Signed),
      gateway: Signed,
    }),
  ),
  gateway_head: z.string(),
  gateway_frames: Decimal,
  owners: z
    .array(z.strictObject({ node_key: z.string(), term: Uint32, from_cut: Uint32 }))
    .min(1)
    .max(MAX_OWNERS),
  log: z.nullable(z.strictObject({ origin: z.string(), open_index: Decimal })),
  lost: z.array(z.tuple([Uint32, z.union([z.literal(0), z.literal(1)]), Decimal, Decimal])),
  client_journal_sha256: z.nullable(z.string()),
  started: Decimal,
  ended: Decimal,
  end_reason: z.enum(END_REASONS),
  masked_count: Decimal,
  /** Not there in a manifest that is final. */
  interim: z.literal(true).optional(),
});

const Statement = z.strictObject({
  _type: z.literal(STATEMENT_TYPE),
  subject: z.tuple([
    z.strictObject({ name: z.string(), digest: z.strictObject({ sha256: z.string() }) }),
  ]),
  predicateType: z.literal(PREDICATE_TYPE),
  predicate: Predicate,
});

export function encodeManifest(manifest: Manifest): Uint8Array {
  const statement: z.infer<typeof Statement> = {
    _type: STATEMENT_TYPE,
    subject: [{ name: `session/${manifest.session}`, digest: { sha256: toHex(manifest.root) } }],
    predicateType: PREDICATE_TYPE,
    predicate: {
      session_id: manifest.session,
      cert_sha256: toHex(manifest.certificateSha256),
      target: manifest.target,
      policy_commit: manifest.policyCommit,
      tree_size: String(manifest.treeSize),
      streams: manifest.streams.map(({ stream, kind, up, down }) => ({
        id: stream,
        kind,
        up_bytes: String(up),
        down_bytes: String(down),
      })),
      cuts: manifest.cuts.map(cutToJson),
      gateway_head: toHex(manifest.gatewayHead),
      gateway_frames: String(manifest.gatewayFrames),
      owners: manifest.owners.map(({ nodeKey, term, fromCut }) => ({
        node_key: toBase64(nodeKey),
        term,
        from_cut: fromCut,
      })),
      log:
        manifest.log === undefined
          ? null
          : { origin: manifest.log.origin, open_index: String(manifest.log.openIndex) },
      lost: manifest.lost.map(({ stream, direction, from, to }) => [
        stream,
        direction,
        String(from),
        String(to),
      ]),
      client_journal_sha256:
        manifest.clientJournalSha256 === undefined ? null : toHex(manifest.clientJournalSha256),
      started: String(manifest.startedMs),
      ended: String(manifest.endedMs),
      end_reason: manifest.endReason,
      masked_count: String(manifest.maskedValues),
      ...(manifest.interim ? { interim: true as const } : {}),
    },
  };
  return utf8(canonicalJson(statement));
}

function cutToJson(cut: ManifestCut): z.infer<typeof Predicate>['cuts'][number] {
  return {
    epoch: cut.epoch,
    size: String(cut.treeSize),
    root: cut.root,
    streams: cut.streams.map(({ stream, up, down }) => [stream, String(up), String(down)]),
    client: cut.client === undefined ? null : signedToJson(cut.client),
    gateway: signedToJson(cut.gateway),
  };
}

function signedToJson({ timeMs, signature }: CutSignature): z.infer<typeof Signed> {
  return { sig: signature, t: String(timeMs) };
}

/** Signatures are the caller's to check, and first. @throws FormatError */
export function decodeManifest(envelope: Envelope): Manifest {
  const what = 'the manifest';
  if (envelope.payloadType !== MANIFEST_TYPE) {
    throw new FormatError('the manifest has another payload type');
  }
  const json = parseCanonicalJson(envelope.payload, what);
  if (isOldStatement(json)) {
    throw new OldFormatError();
  }
  const statement = parseShape(Statement, json, what);
  const { predicate } = statement;
  const [subject] = statement.subject;
  if (subject.name !== `session/${predicate.session_id}`) {
    throw new FormatError('the manifest is about another session than it says');
  }
  return {
    session: predicate.session_id,
    certificateSha256: hash(predicate.cert_sha256),
    target: predicate.target,
    policyCommit: predicate.policy_commit,
    treeSize: Number(predicate.tree_size),
    root: hash(subject.digest.sha256),
    streams: predicate.streams.map((stream) => ({
      stream: stream.id,
      kind: stream.kind,
      up: Number(stream.up_bytes),
      down: Number(stream.down_bytes),
    })),
    cuts: predicate.cuts.map(cutFromJson),
    gatewayHead: hash(predicate.gateway_head),
    gatewayFrames: Number(predicate.gateway_frames),
    owners: predicate.owners.map((owner) => ({
      nodeKey: publicKeyFromBase64(owner.node_key, 'the key of an owner'),
      term: owner.term,
      fromCut: owner.from_cut,
    })),
    log:
      predicate.log === null
        ? undefined
        : { origin: predicate.log.origin, openIndex: Number(predicate.log.open_index) },
    lost: predicate.lost.map(([stream, direction, from, to]) => ({
      stream,
      direction,
      from: Number(from),
      to: Number(to),
    })),
    clientJournalSha256:
      predicate.client_journal_sha256 === null ? undefined : hash(predicate.client_journal_sha256),
    startedMs: Number(predicate.started),
    endedMs: Number(predicate.ended),
    endReason: predicate.end_reason,
    maskedValues: Number(predicate.masked_count),
    interim: predicate.interim === true,
  };
}

function isOldStatement(json: unknown): boolean {
  return (
    typeof json === 'object' &&
    json !== null &&
    'predicateType' in json &&
    json.predicateType === OLD_PREDICATE_TYPE
  );
}

function cutFromJson(cut: z.infer<typeof Predicate>['cuts'][number]): ManifestCut {
  rootOf(cut.root);
  return {
    epoch: cut.epoch,
    treeSize: Number(cut.size),
    root: cut.root,
    streams: cut.streams.map(([stream, up, down]) => ({
      stream,
      up: Number(up),
      down: Number(down),
    })),
    client: cut.client === null ? undefined : signedFromJson(cut.client),
    gateway: signedFromJson(cut.gateway),
  };
}

function signedFromJson({ sig, t }: z.infer<typeof Signed>): CutSignature {
  signatureOf(sig);
  return { timeMs: Number(t), signature: sig };
}

function hash(text: string): Uint8Array {
  return fromHex(text, 'a hash of the manifest', HASH_LENGTH);
}

export function sha256(...parts: readonly (Uint8Array | string)[]): Uint8Array {
  const digest = createHash('sha256');
  for (const part of parts) {
    digest.update(part);
  }
  return digest.digest();
}
