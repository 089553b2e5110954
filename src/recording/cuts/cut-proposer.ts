/** The client's half of a cut: compute, sign, and check the answer. */

import { FormatError } from '../../format-error.ts';
import type { ChunkPlace } from '../formats/chunk.ts';
import { ackSigningBytes, cutSigningBytes, pointOf, rootOf, signatureOf } from '../formats/cut.ts';
import { toBase64 } from '../formats/encoding.ts';
import type { CutAck, CutProposal, StreamOffsets } from '../formats/types.ts';
import { type SigningKey, signEd25519, verifyEd25519 } from '../keys/ed25519.ts';
import { CutLedger, type CutPlan, type CutResult } from './cut-ledger.ts';

export interface ProposerOptions {
  readonly session: string;
  readonly sessionKey: SigningKey;
  readonly gatewayKey: Uint8Array;
  /** 32 bytes for each place, in order. */
  readonly leaves: (places: readonly ChunkPlace[]) => Uint8Array;
  /** Cuts that were agreed on before, and the answer to the last of them. */
  readonly ledger?: CutLedger;
  readonly last?: CutAck | undefined;
}

export interface PendingCut {
  readonly proposal: CutProposal;
  readonly plan: CutPlan;
  readonly result: CutResult;
  readonly leaves: Uint8Array;
}

export class CutProposer {
  readonly #options: ProposerOptions;
  readonly ledger: CutLedger;
  #last: CutAck | undefined;

  constructor(options: ProposerOptions) {
    this.#options = options;
    this.#last = options.last;
    this.ledger = options.ledger ?? new CutLedger();
  }

  /** Its own record must be on disk before it is sent. */
  propose(streams: readonly StreamOffsets[], nowMs: number): PendingCut {
    const plan = this.ledger.plan(streams);
    const leaves = this.#options.leaves(plan.places);
    const result = this.ledger.evaluate(plan, leaves);
    const { epoch } = plan;
    const { treeSize, root } = result;
    const point = { epoch, treeSize, root, timeMs: nowMs };
    const message = cutSigningBytes(this.#options.session, point, pointOf(this.#last));
    const signature = toBase64(signEd25519(this.#options.sessionKey, message));
    const proposal = { epoch, streams, treeSize, root: toBase64(root), timeMs: nowMs, signature };
    return { proposal, plan, result, leaves };
  }

  isAcknowledgedBy(pending: PendingCut, ack: CutAck): boolean {
    return isAckOf(this.#options, pending.proposal, ack, this.#last);
  }

  commit(pending: PendingCut, ack: CutAck): void {
    this.ledger.commit(pending.plan, pending.result);
    this.#last = ack;
  }
}

/**
 * Whether the gateway signed exactly this cut, in a recording that goes on.
 * @param previous the ack before it
 */
export function isAckOf(
  { session, gatewayKey }: Pick<ProposerOptions, 'session' | 'gatewayKey'>,
  proposal: CutProposal,
  ack: CutAck,
  previous: CutAck | undefined,
): boolean {
  try {
    const { epoch, treeSize } = proposal;
    const point = { epoch, treeSize, root: rootOf(proposal.root), timeMs: ack.timeMs };
    const message = ackSigningBytes('ack', session, point, pointOf(ack));
    return (
      ack.epoch === epoch &&
      ack.frames > (previous?.frames ?? 0) &&
      verifyEd25519(gatewayKey, message, signatureOf(ack.signature))
    );
  } catch (error) {
    if (error instanceof FormatError || error instanceof RangeError) {
      return false;
    }
    throw error;
  }
}
