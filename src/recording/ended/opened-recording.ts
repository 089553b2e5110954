/**
 * A recording that is not being written any more, read back and checked against the cuts in it:
 * what the end of a session works on. Everything comes from the files, so it is the same after a
 * crash.
 */

import { FormatError } from '../../format-error.ts';
import { CutLedger } from '../cuts/cut-ledger.ts';
import { type ChunkPlace, describePlace } from '../formats/chunk.ts';
import type { GatewayCut } from '../formats/cut.ts';
import { toBase64 } from '../formats/encoding.ts';
import { leafJob, RunReader } from '../formats/hash-leaves.ts';
import { HASH_LENGTH } from '../formats/merkle-tree.ts';
import type { AgreedCut, CutProposal, StreamOffsets } from '../formats/types.ts';
import type { RecordingKeys } from '../keys/recording-keys.ts';
import type { LeafHasher } from '../write/leaf-hasher.ts';
import { SegmentFiles } from '../write/segment-files.ts';
import { recoverRecording } from './recover-recording.ts';
import { type ScannedRecording, scanRecording } from './scan-recording.ts';

export interface OpenOptions {
  readonly directory: string;
  readonly session: string;
  readonly keys: RecordingKeys;
  readonly hasher: LeafHasher;
}

export interface OpenedRecording {
  readonly scan: ScannedRecording;
  /** After the agreed cuts, and the gateway's tail when there is one. */
  readonly ledger: CutLedger;
  readonly agreed: readonly AgreedCut[];
  /** Size and root after the agreed cuts. */
  readonly agreedTree: { readonly size: number; readonly root: Uint8Array };
  readonly tail: GatewayCut | undefined;
  readonly places: readonly ChunkPlace[];
  /** 32 bytes for each place. */
  readonly leaves: Uint8Array;
}

/**
 * Recovers what a crash has left.
 * @param mayWrite as of `recoverRecording`
 * @throws FormatError when the files do not give the roots that were signed
 */
export async function openRecording(
  options: OpenOptions,
  mayWrite: () => Promise<void> = async () => undefined,
): Promise<OpenedRecording> {
  return await checkRecording(options, await recoverRecording(scanOptions(options), mayWrite));
}

/** As it is; nothing is repaired. */
export async function readRecording(options: OpenOptions): Promise<OpenedRecording> {
  return await checkRecording(options, await scanRecording(scanOptions(options)));
}

async function checkRecording(
  options: OpenOptions,
  scan: ScannedRecording,
): Promise<OpenedRecording> {
  const { directory, keys, hasher } = options;
  const agreed: AgreedCut[] = [];
  let tail: GatewayCut | undefined;
  const points: (CutProposal | GatewayCut)[] = [];
  for (const cut of scan.cuts) {
    if (cut.type === 'agreed') {
      agreed.push(cut);
      points.push(cut.proposal);
    } else {
      tail = cut.cut;
      points.push(cut.cut);
    }
  }
  const { places, plans } = planAll(points);
  const leaves = await hasher.hash(leafJob({ directory, ...keys }, places, scan.index));
  const ledger = new CutLedger();
  let agreedTree = { size: 0, root: ledger.root() };
  let at = 0;
  for (const [index, point] of points.entries()) {
    const plan = ledger.plan(point.streams);
    const end = at + (plans[index] ?? 0) * HASH_LENGTH;
    const result = ledger.evaluate(plan, leaves.subarray(at, end));
    if (toBase64(result.root) !== point.root || result.treeSize !== point.treeSize) {
      throw new FormatError(`the recorded bytes do not give the root of cut ${point.epoch}`);
    }
    ledger.commit(plan, result);
    if (index < agreed.length) {
      agreedTree = { size: result.treeSize, root: result.root };
    }
    at = end;
  }
  return { scan, ledger, agreed, agreedTree, tail, places, leaves };
}

/** All chunks of all cuts, and how many each cut has. */
function planAll(points: readonly CutProposal[]): {
  readonly places: ChunkPlace[];
  readonly plans: number[];
} {
  const ledger = new CutLedger();
  const places: ChunkPlace[] = [];
  const plans: number[] = [];
  for (const point of points) {
    const plan = ledger.plan(point.streams);
    places.push(...plan.places);
    plans.push(plan.places.length);
    // Only the offsets matter here; the hashes come when all of them are known.
    const none = new Uint8Array(plan.places.length * HASH_LENGTH);
    ledger.commit(plan, ledger.evaluate(plan, none));
  }
  return { places, plans };
}

/** What was recorded and no cut covers: the streams that have more, and up to where. */
export function uncovered(opened: OpenedRecording): StreamOffsets[] {
  const offsets = [...opened.scan.offsets.values()].sort((a, b) => a.stream - b.stream);
  return offsets.filter(({ stream, up, down }) => {
    const covered = opened.ledger.offsets(stream);
    return up > covered.up || down > covered.down;
  });
}

export function leafAt(opened: OpenedRecording, index: number): Uint8Array {
  return opened.leaves.subarray(index * HASH_LENGTH, (index + 1) * HASH_LENGTH);
}

/** The bytes of all chunks, one after the other, in leaf order. */
export function* readChunks(opened: OpenedRecording, dataKey: Uint8Array): Generator<Uint8Array> {
  using files = new SegmentFiles(opened.scan.directory, dataKey);
  for (const place of opened.places) {
    const { stream, direction, offset, length } = place;
    const frames = opened.scan.index.slice(stream, direction, offset, offset + length);
    const bytes = Buffer.concat([
      ...new RunReader({ stream, direction, frames }, files).read(offset, length),
    ]);
    if (bytes.length !== length) {
      throw new FormatError(`chunk ${describePlace(place)} cannot be read`);
    }
    yield bytes;
  }
}

export function scanOptions({ directory, session, keys }: OpenOptions) {
  return { directory, session, dataKey: keys.dataKey };
}
