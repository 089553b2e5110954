import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** As V8's own extension takes it: src/extensions/gc-extension.cc. */
export type Collection =
  | { readonly type: 'minor' }
  /** All of it, twice, and free pages go back to the system. */
  | { readonly type: 'major'; readonly flavor: 'last-resort' };

/**
 * V8 gives its collector to scripts only with this flag, and to contexts made while it is set.
 * @returns runs a collection of this thread's heap, and returns when it is over
 */
export function garbageCollector(collection: Collection): () => void {
  setFlagsFromString('--expose-gc');
  const gc: unknown = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  return typeof gc === 'function' ? () => gc(collection) : () => undefined;
}
