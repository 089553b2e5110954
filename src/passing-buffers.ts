/**
 * Frees the buffers of bytes that have passed, before V8 would.
 *
 * Each chunk of a stream leaves buffers behind (what was read, what was joined, a frame), all of
 * them outside of V8's heap and dead a moment later. V8 counts them against what the heap may
 * grow by, which is little for a small heap: it marks everything, on all cores, for each 8 MB that
 * pass. A collection of the young generation takes a millisecond or two and frees the same.
 */
import { garbageCollector } from './garbage-collector.ts';

/** Bytes that pass between two collections; about as much is freed. Measured. */
const COLLECT_EVERY_BYTES = 8 * 1024 * 1024;

let passed = 0;
let collect: (() => void) | undefined;

/** Call for the bytes of every stream. Each thread has a heap, and so a count, of its own. */
export function bytesPassed(length: number): void {
  passed += length;
  if (passed >= COLLECT_EVERY_BYTES) {
    passed = 0;
    collect ??= garbageCollector({ type: 'minor' });
    collect();
  }
}

/** For less it is not worth a call. */
const LEAST_FREED_BYTES = 8 * 1024;

/**
 * Gives the memory of `bytes` back at once, if they are all of it. What is allocated next gets it
 * while it is still in the processor's caches; left to a collection, a stream goes through megabytes.
 * Every view of that memory is empty afterwards: call it for what nobody else has a view of, and no
 * system call is under way with.
 */
export function freeNow({ buffer, byteLength }: Uint8Array): void {
  if (
    byteLength >= LEAST_FREED_BYTES &&
    byteLength === buffer.byteLength &&
    buffer instanceof ArrayBuffer
  ) {
    buffer.transfer(0);
  }
}
