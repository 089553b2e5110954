/** What was recorded beyond the last agreed cut, signed by the gateway as an ack that answers no cut. */

import { type OpenedRecording, type OpenOptions, uncovered } from '../ended/opened-recording.ts';
import type { ChunkPlace } from '../formats/chunk.ts';
import { type GatewayCut, signAck } from '../formats/cut.ts';
import { toBase64 } from '../formats/encoding.ts';
import { leafJob } from '../formats/hash-leaves.ts';
import type { RecordingPoint } from '../formats/types.ts';
import type { SigningKey } from '../keys/ed25519.ts';

export interface GatewayTail {
  /** @param at where the recording stands */
  readonly sign: (at: RecordingPoint) => GatewayCut;
  readonly places: readonly ChunkPlace[];
  /** 32 bytes for each place. */
  readonly leaves: Uint8Array;
}

/** @returns undefined when the agreed cuts cover everything */
export async function measureTail(
  opened: OpenedRecording,
  options: OpenOptions,
  gatewayKey: SigningKey,
  timeMs: number,
): Promise<GatewayTail | undefined> {
  const streams = uncovered(opened);
  if (streams.length === 0) {
    return undefined;
  }
  const { directory, keys, hasher, session } = options;
  const plan = opened.ledger.plan(streams);
  const leaves = await hasher.hash(leafJob({ directory, ...keys }, plan.places, opened.scan.index));
  const { treeSize, root } = opened.ledger.evaluate(plan, leaves);
  const point = { epoch: plan.epoch, treeSize, root, timeMs };
  const sign = (at: RecordingPoint): GatewayCut => {
    const { signature, head, frames } = signAck('tail', gatewayKey, session, point, at);
    return { ...point, root: toBase64(root), streams, signature, head, frames };
  };
  return { sign, places: plan.places, leaves };
}
