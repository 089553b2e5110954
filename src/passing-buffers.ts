/**
 * Frees the buffers of bytes that have passed, before V8 would.
 *
 * Each chunk of a stream leaves several buffers behind (what was read, its ciphertext, a frame),
 * all of them outside of V8's heap and dead a moment later. V8 counts them against what the heap may
 * grow by, which is little for a small heap: it marks everything, on all cores, for each 8 MB that
 * pass. A collection of the young generation takes a millisecond or two and frees the same.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Bytes that pass between two collections; about three times as much is freed. Measured. */
const COLLECT_EVERY_BYTES = 3 * 1024 * 1024;

let passed = 0;
let collect: (() => void) | undefined;

/** Call for the bytes of every stream. Each thread has a heap, and so a count, of its own. */
export function bytesPassed(length: number): void {
  passed += length;
  if (passed >= COLLECT_EVERY_BYTES) {
    passed = 0;
    collect ??= youngCollector();
    collect();
  }
}

/** V8 gives its collector to scripts only with this flag, and to contexts made while it is set. */
function youngCollector(): () => void {
  setFlagsFromString('--expose-gc');
  const gc: unknown = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  return typeof gc === 'function' ? () => gc({ type: 'minor' }) : () => undefined;
}
