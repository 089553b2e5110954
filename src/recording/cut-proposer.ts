/** The client's half of a cut: compute, sign, and check the answer. */

import { FormatError } from '../format-error.ts';
import type { ChunkPlace } from './chunk.ts';
import { cutSigningBytes, signatureOf } from './cut.ts';
import { CutLedger, type CutPlan, type CutResult } from './cut-ledger.ts';
import { type SigningKey, signEd25519, verifyEd25519 } from './ed25519.ts';
import { fromBase64, toBase64 } from './encoding.ts';
import type { CutAck, CutProposal, StreamOffsets } from './types.ts';

export interface ProposerOptions {
  readonly session: string;
  readonly sessionKey: SigningKey;
  readonly gatewayKey: Uint8Array;
  /** 32 bytes for each place, in order. */
  readonly leaves: (places: readonly ChunkPlace[]) => Uint8Array;
  readonly ledger?: CutLedger;
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

  constructor(options: ProposerOptions) {
    this.#options = options;
    this.ledger = options.ledger ?? new CutLedger();
  }

  /** Its own record must be on disk before it is sent. */
  propose(streams: readonly StreamOffsets[], nowMs: number): PendingCut {
    const plan = this.ledger.plan(streams);
    const leaves = this.#options.leaves(plan.places);
    const result = this.ledger.evaluate(plan, leaves);
    const { epoch } = plan;
    const { treeSize, root } = result;
    const message = cutSigningBytes('cut', this.#options.session, {
      epoch,
      treeSize,
      root,
      timeMs: nowMs,
    });
    const signature = toBase64(signEd25519(this.#options.sessionKey, message));
    const proposal = { epoch, streams, treeSize, root: toBase64(root), timeMs: nowMs, signature };
    return { proposal, plan, result, leaves };
  }

  isAcknowledgedBy(pending: PendingCut, ack: CutAck): boolean {
    return isAckOf(this.#options, pending.proposal, ack);
  }

  commit(pending: PendingCut): void {
    this.ledger.commit(pending.plan, pending.result);
  }
}

/** Whether the gateway signed exactly this cut. */
export function isAckOf(
  { session, gatewayKey }: Pick<ProposerOptions, 'session' | 'gatewayKey'>,
  proposal: CutProposal,
  ack: CutAck,
): boolean {
  try {
    const message = cutSigningBytes('ack', session, {
      epoch: proposal.epoch,
      treeSize: proposal.treeSize,
      root: fromBase64(proposal.root, 'the root of a cut', 32),
      timeMs: ack.timeMs,
    });
    return (
      ack.epoch === proposal.epoch && verifyEd25519(gatewayKey, message, signatureOf(ack.signature))
    );
  } catch (error) {
    if (error instanceof FormatError || error instanceof RangeError) {
      return false;
    }
    throw error;
  }
}
