/**
 * Leaves of chunks, from what is on disk: reads the frames back, decrypts and hashes. Reading the
 * files instead of keeping the bytes bounds the memory and signs what was really recorded.
 */
import { createSecretKey } from 'node:crypto';
import { FormatError } from '../../format-error.ts';
import { bytesPassed } from '../../passing-buffers.ts';
import type { DataIndex, FrameColumns } from '../ended/data-index.ts';
import { SegmentFiles } from '../write/segment-files.ts';
import { type ChunkPlace, leafHash } from './chunk.ts';
import { HASH_LENGTH } from './merkle-tree.ts';
import type { Direction } from './types.ts';

/** Can be sent to a worker thread. */
export interface LeafJob {
  readonly directory: string;
  readonly dataKey: Uint8Array;
  readonly saltKey: Uint8Array;
  readonly runs: readonly LeafRun[];
  /** Bytes of all chunks. */
  readonly bytes: number;
}

/** Consecutive chunks of one stream, direction and epoch. */
export interface LeafRun {
  readonly stream: number;
  readonly direction: Direction;
  readonly epoch: number;
  /** Of each chunk, in order; each begins where the one before ends. */
  readonly offsets: readonly number[];
  readonly lengths: readonly number[];
  readonly frames: FrameColumns;
}

/** @param places in leaf order */
export function leafJob(
  source: Pick<LeafJob, 'directory' | 'dataKey' | 'saltKey'>,
  places: readonly ChunkPlace[],
  index: DataIndex,
): LeafJob {
  const groups: ChunkPlace[][] = [];
  let bytes = 0;
  for (const place of places) {
    const last = groups.at(-1);
    const head = last?.[0];
    if (
      last !== undefined &&
      head?.stream === place.stream &&
      head.direction === place.direction &&
      head.epoch === place.epoch &&
      endOf(last.at(-1)) === place.offset
    ) {
      last.push(place);
    } else {
      groups.push([place]);
    }
    bytes += place.length;
  }
  const { directory, dataKey, saltKey } = source;
  return { directory, dataKey, saltKey, bytes, runs: groups.map((group) => runOf(group, index)) };
}

function endOf(place: ChunkPlace | undefined): number {
  return place === undefined ? 0 : place.offset + place.length;
}

function runOf(group: readonly ChunkPlace[], index: DataIndex): LeafRun {
  const [first] = group;
  const last = group.at(-1);
  if (first === undefined || last === undefined) {
    throw new TypeError('a run has at least one chunk');
  }
  const { stream, direction, epoch } = first;
  return {
    stream,
    direction,
    epoch,
    offsets: group.map((place) => place.offset),
    lengths: group.map((place) => place.length),
    frames: index.slice(stream, direction, first.offset, last.offset + last.length),
  };
}

/**
 * Does the work chunk by chunk, so that a caller on the main thread can give way in between.
 * @returns the leaves, 32 bytes each, in order
 */
export function* hashLeaves(job: LeafJob): Generator<void, Uint8Array<ArrayBuffer>> {
  const saltKey = createSecretKey(job.saltKey);
  const count = job.runs.reduce((sum, run) => sum + run.offsets.length, 0);
  const leaves = new Uint8Array(count * HASH_LENGTH);
  let at = 0;
  using files = new SegmentFiles(job.directory, job.dataKey);
  for (const run of job.runs) {
    const reader = new RunReader(run, files);
    for (const [index, offset] of run.offsets.entries()) {
      const length = run.lengths[index] ?? 0;
      const { stream, direction, epoch } = run;
      const place: ChunkPlace = { epoch, stream, direction, offset, length };
      leaves.set(leafHash(saltKey, place, reader.read(offset, length)), at);
      at += HASH_LENGTH;
      yield;
    }
  }
  return leaves;
}

/** Reads ranges of one stream and direction; ranges must not go back. */
export class RunReader {
  readonly #run: Pick<LeafRun, 'stream' | 'direction' | 'frames'>;
  readonly #files: SegmentFiles;
  #frame = 0;
  #loaded = -1;
  #bytes: Uint8Array = new Uint8Array(0);

  constructor(run: Pick<LeafRun, 'stream' | 'direction' | 'frames'>, files: SegmentFiles) {
    this.#run = run;
    this.#files = files;
  }

  /** @throws FormatError when the frames do not hold all of [offset, offset + length) */
  *read(offset: number, length: number): Generator<Uint8Array> {
    const { stream, direction, frames } = this.#run;
    const { segments, positions, offsets, lengths } = frames;
    const end = offset + length;
    for (let at = offset; at < end; ) {
      while ((offsets[this.#frame] ?? Infinity) + (lengths[this.#frame] ?? 0) <= at) {
        this.#frame += 1;
      }
      const start = offsets[this.#frame];
      if (start === undefined || start > at) {
        throw new FormatError('the recording has a gap');
      }
      if (this.#loaded !== this.#frame) {
        const place = { stream, direction, offset: start };
        const [segment = 0, position = 0] = [segments[this.#frame], positions[this.#frame]];
        this.#bytes = this.#files.readData(segment, position, place);
        this.#loaded = this.#frame;
        bytesPassed(this.#bytes.length);
        if (this.#bytes.length !== lengths[this.#frame]) {
          throw new FormatError('a frame has another length than before');
        }
      }
      const part = this.#bytes.subarray(at - start, Math.min(end - start, this.#bytes.length));
      at += part.length;
      yield part;
    }
  }
}
