/**
 * How V8 collects garbage where streams pass: in a gateway, and in a client from its first session on.
 *
 * Not sooner: V8 takes compiled code, of Node's own modules and of ours, only under the flags with which
 * it was kept, so a command that sets them at its start compiles everything anew.
 */
import { flushCompileCache } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import { giveBackAtRest } from './give-back.ts';
import { isKnownV8, isV8Before14 } from './known-v8.ts';
import { limitYoungGeneration } from './young-generation.ts';

/** Measured in docs/design/0040-performance.md. They have no promise. */
const FLAGS = [
  // When a process rests, V8 collects in a way that also drops the shapes of objects of which there
  // are none just then, and with them all optimized code that has met such an object: after a pause
  // of its clients a gateway needed seconds of load to be fast again. It still collects, and keeps
  // the shapes.
  ...(isV8Before14 ? ['--no-memory-reducer-favors-memory'] : []),
  '--retain-maps-for-n-gc=1000',
  // A stream leaves little behind that lives, hundreds of times a second: one thread has cleared it
  // away sooner than several have agreed on who does what.
  '--no-parallel-scavenge',
  // The buffers of a stream are freed by collections of the young generation. Without this all of
  // the heap is marked as well, for each few megabytes that pass.
  '--heap-growing-percent=300',
];

let isTuned = false;

/** From now on. */
export function tuneCollector(): void {
  if (isTuned || !isKnownV8) {
    return;
  }
  isTuned = true;
  // Now, under the flags of the next start: what is kept under others no command takes.
  flushCompileCache();
  for (const flag of FLAGS) {
    setFlagsFromString(flag);
  }
  limitYoungGeneration();
  giveBackAtRest();
}
