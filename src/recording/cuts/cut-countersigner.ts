/**
 * The gateway's answer to a cut, the same for a live session and for one that has ended: compare
 * with what is on disk, then sign. Order matters: structure, then the client's signature, then the
 * disk, then the hash, so that nobody can make the gateway work for a cut that is not theirs.
 */
import { FormatError } from '../../format-error.ts';
import type { DataIndex } from '../ended/data-index.ts';
import type { ChunkPlace } from '../formats/chunk.ts';
import {
  cutSigningBytes,
  encodeRecordedCut,
  pointOf,
  rootOf,
  signAck,
  signatureOf,
} from '../formats/cut.ts';
import { toBase64 } from '../formats/encoding.ts';
import { type LeafJob, leafJob } from '../formats/hash-leaves.ts';
import { HASH_LENGTH } from '../formats/merkle-tree.ts';
import type {
  AgreedCut,
  CutAck,
  CutProposal,
  RecordingPoint,
  StreamOffsets,
} from '../formats/types.ts';
import { type SigningKey, verifyEd25519 } from '../keys/ed25519.ts';
import type { LeafAhead } from '../write/leaf-ahead.ts';
import type { LeafHasher } from '../write/leaf-hasher.ts';
import { CutLedger, type CutPlan, type CutResult } from './cut-ledger.ts';

export type CutOutcome =
  | { readonly type: 'ack'; readonly ack: CutAck }
  | {
      readonly type: 'dispute';
      readonly message: string;
      /** The gateway's root in base64, or why there is none. */
      readonly ours: string;
      readonly theirs: string;
    };

export type CutCheck =
  | {
      readonly type: 'agreed';
      readonly cut: CutProposal;
      readonly plan: CutPlan;
      readonly result: CutResult;
      readonly leaves: Uint8Array;
    }
  | { readonly type: 'repeated'; readonly ack: CutAck }
  | { readonly type: 'refused'; readonly message: string }
  | { readonly type: 'differs'; readonly ours: string };

export interface SignedCut extends Extract<CutCheck, { type: 'agreed' }> {
  readonly ack: CutAck;
  /** Body of the CUT frame, to be on disk before the ack leaves. */
  readonly body: Uint8Array;
}

export interface CountersignerOptions {
  readonly session: string;
  readonly clientKey: Uint8Array;
  readonly gatewayKey: SigningKey;
  readonly source: Pick<LeafJob, 'directory' | 'dataKey' | 'saltKey'>;
  readonly hasher: LeafHasher;
  /** What was hashed while it was recorded; of a recording that has ended there is none. */
  readonly ahead?: LeafAhead;
  /** Cuts that were agreed on before. */
  readonly ledger?: CutLedger;
  readonly last?: AgreedCut | undefined;
}

/** What has been recorded. */
export interface RecordedBytes {
  readonly recorded: (stream: number) => StreamOffsets;
  readonly index: DataIndex;
  readonly sync: () => Promise<void>;
}

export class CutCountersigner {
  readonly #options: CountersignerOptions;
  readonly ledger: CutLedger;
  #last: AgreedCut | undefined;

  constructor(options: CountersignerOptions) {
    this.#options = options;
    this.ledger = options.ledger ?? new CutLedger();
    this.#last = options.last;
  }

  get last(): AgreedCut | undefined {
    return this.#last;
  }

  /** How much a cut would cover; 0 when it makes no sense. */
  bytesOf(cut: CutProposal): number {
    let bytes = 0;
    for (const { stream, up, down } of cut.streams) {
      const before = this.ledger.offsets(stream);
      bytes += up - before.up + (down - before.down);
    }
    return Math.max(0, bytes);
  }

  /** Of these what the client has sent. */
  upBytesOf(cut: CutProposal): number {
    return cut.streams.reduce(
      (sum, { stream, up }) => sum + up - this.ledger.offsets(stream).up,
      0,
    );
  }

  /** @throws HoopError when the files cannot be read or synced */
  async check(cut: CutProposal, bytes: RecordedBytes): Promise<CutCheck> {
    if (this.#last !== undefined && isSameCut(this.#last.proposal, cut)) {
      // The client did not get the answer: the same answer again.
      return { type: 'repeated', ack: this.#last.ack };
    }
    const planned = this.#plan(cut, bytes);
    if (planned.type === 'refused') {
      return planned;
    }
    const { plan } = planned;
    // Sign nothing that is not on disk.
    await bytes.sync();
    const leaves = await leavesOf(plan.places, bytes.index, this.#options);
    const result = this.ledger.evaluate(plan, leaves);
    const ours = toBase64(result.root);
    if (ours !== cut.root || result.treeSize !== cut.treeSize) {
      return { type: 'differs', ours };
    }
    return { type: 'agreed', cut, plan, result, leaves };
  }

  /** @param at where the CUT frame will stand: it is the next frame */
  sign(check: Extract<CutCheck, { type: 'agreed' }>, nowMs: number, at: RecordingPoint): SignedCut {
    const { epoch, treeSize } = check.cut;
    const point = { epoch, treeSize, root: check.result.root, timeMs: nowMs };
    const ack = signAck('ack', this.#options.gatewayKey, this.#options.session, point, at);
    const body = encodeRecordedCut({ type: 'agreed', proposal: check.cut, ack });
    return { ...check, ack, body };
  }

  /** After the CUT frame is on disk. */
  commit(signed: SignedCut): void {
    this.ledger.commit(signed.plan, signed.result);
    this.#last = { proposal: signed.cut, ack: signed.ack };
  }

  #plan(
    cut: CutProposal,
    bytes: RecordedBytes,
  ): { readonly type: 'planned'; readonly plan: CutPlan } | { type: 'refused'; message: string } {
    try {
      if (cut.epoch !== this.ledger.epoch) {
        return refused(`cut ${cut.epoch} came where cut ${this.ledger.epoch} belongs`);
      }
      if (cut.streams.length === 0) {
        return refused(`cut ${cut.epoch} covers nothing`);
      }
      for (const { stream, up, down } of cut.streams) {
        const recorded = bytes.recorded(stream);
        if (up > recorded.up || down > recorded.down) {
          return refused(`cut ${cut.epoch} covers more of stream ${stream} than was recorded`);
        }
      }
      const { epoch, treeSize, timeMs } = cut;
      const root = rootOf(cut.root);
      const point = { epoch, treeSize, root, timeMs };
      const message = cutSigningBytes(this.#options.session, point, pointOf(this.#last?.ack));
      if (!verifyEd25519(this.#options.clientKey, message, signatureOf(cut.signature))) {
        return refused(`cut ${cut.epoch} is not signed by the session's client key`);
      }
      return { type: 'planned', plan: this.ledger.plan(cut.streams) };
    } catch (error) {
      // Numbers out of range are the client's fault as well.
      if (error instanceof FormatError || error instanceof RangeError) {
        return refused(error.message);
      }
      throw error;
    }
  }
}

function refused(message: string): { type: 'refused'; message: string } {
  return { type: 'refused', message };
}

function isSameCut(left: CutProposal, right: CutProposal): boolean {
  return (
    left.epoch === right.epoch &&
    left.treeSize === right.treeSize &&
    left.root === right.root &&
    left.timeMs === right.timeMs &&
    left.signature === right.signature &&
    left.streams.length === right.streams.length &&
    left.streams.every(({ stream, up, down }, index) => {
      const other = right.streams[index];
      return other?.stream === stream && other.up === up && other.down === down;
    })
  );
}

interface LeafSources {
  /** The files. */
  readonly source: Pick<LeafJob, 'directory' | 'dataKey' | 'saltKey'>;
  readonly hasher: LeafHasher;
  readonly ahead?: LeafAhead;
}

/**
 * The leaves of chunks that are recorded, 32 bytes each, in order: those that were hashed ahead,
 * the others from the files.
 * @throws HoopError HOOP_RECORDING_DAMAGED when the files do not hold the chunks
 */
async function leavesOf(
  places: readonly ChunkPlace[],
  index: DataIndex,
  { source, hasher, ahead }: LeafSources,
): Promise<Uint8Array> {
  const leaves = new Uint8Array(places.length * HASH_LENGTH);
  const missing: { readonly at: number; readonly place: ChunkPlace }[] = [];
  for (const [at, place] of places.entries()) {
    const leaf = ahead?.take(place);
    if (leaf === undefined) {
      missing.push({ at, place });
    } else {
      leaves.set(leaf, at * HASH_LENGTH);
    }
  }
  if (missing.length > 0) {
    const job = leafJob(
      source,
      missing.map(({ place }) => place),
      index,
    );
    const hashed = await hasher.hash(job);
    for (const [nth, { at }] of missing.entries()) {
      leaves.set(hashed.subarray(nth * HASH_LENGTH, (nth + 1) * HASH_LENGTH), at * HASH_LENGTH);
    }
  }
  return leaves;
}
