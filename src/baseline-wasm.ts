/**
 * WebAssembly without V8's optimizing compiler, which costs more than it ever saves here: half a second
 * and 550 MB over PostgreSQL's parser, for 2 of 11 µs per statement; and 40 ms of another core over the
 * parser of HTTP, in commands that read two answers. Measured: docs/design/0040-performance.md.
 */
import { setFlagsFromString } from 'node:v8';
import { isKnownV8 } from './known-v8.ts';

/** They hold for all modules of the process that are compiled from then on. */
const FLAGS = ['wasm-tier-up', 'wasm-dynamic-tiering'];
/** What is compiled when it is first called is compiled by what the flags say then. */
const AT_FIRST_CALL = 'wasm-lazy-compilation';

let isForGood = false;

/** From now on, for the whole process. */
export function baselineOnly(): void {
  isForGood = true;
  // Stands for the others, but only where a process starts with it.
  setFlagsFromString('--liftoff-only');
  set('--no-', FLAGS);
}

/**
 * For what is compiled before this call of ours returns to the event loop. Not for longer: V8 takes no
 * compiled code, of Node's own modules or of ours, that was kept under other flags.
 */
export function baselineNow(): void {
  if (isForGood || !isKnownV8) return;
  set('--no-', [...FLAGS, AT_FIRST_CALL]);
  queueMicrotask(() => set('--', isForGood ? [AT_FIRST_CALL] : [...FLAGS, AT_FIRST_CALL]));
}

function set(prefix: string, flags: readonly string[]): void {
  for (const flag of flags) setFlagsFromString(`${prefix}${flag}`);
}
