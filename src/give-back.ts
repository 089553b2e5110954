/**
 * Gives memory back to the system when this process rests.
 *
 * After a burst V8 keeps what it has: it collects when there is much new, and then nothing is new any
 * more. Most of it is garbage, part of that buffers outside of the heap. A collection that reduces
 * memory gives back pages and buffers. It also drops optimized code that met objects of which there
 * are none just then (docs/design/0040-performance.md), so it waits until nobody has wanted anything
 * for a while, and there is something to be had.
 */
import { garbageCollector } from './garbage-collector.ts';
import { isKnownV8 } from './known-v8.ts';

const LOOK_EVERY_MS = 10_000;
/** So many looks, one after the other, that found it at rest. */
const LOOKS_AT_REST = 3;
/** Share of a processor, all threads. A gateway without sessions needs a hundredth. */
const CPU_AT_REST = 0.05;
/** Share of the time in which there was something to do: more of it if others have the processors. */
const LOOP_AT_REST = 0.5;
/** What it has grown by since the last time; for less the collection is not worth its time. */
const WORTH_BYTES = 32 * 1024 * 1024;

let isWatching = false;

export interface GiveBackOptions {
  /** For tests, as the other. */
  readonly lookEveryMs?: number;
  readonly collect?: () => void;
}

/** From now on, for this thread's heap. */
export function giveBackAtRest({
  lookEveryMs = LOOK_EVERY_MS,
  collect = garbageCollector({ type: 'major', flavor: 'last-resort' }),
}: GiveBackOptions = {}): void {
  if (isWatching || !isKnownV8) {
    return;
  }
  isWatching = true;
  let keptBytes = 0;
  let looksAtRest = 0;
  let since = usageNow();
  const look = (): void => {
    const now = usageNow();
    const cpu = (now.cpuMs - since.cpuMs) / (now.atMs - since.atMs);
    const { utilization } = performance.eventLoopUtilization(now.loop, since.loop);
    since = now;
    looksAtRest = cpu < CPU_AT_REST && utilization < LOOP_AT_REST ? looksAtRest + 1 : 0;
    if (looksAtRest >= LOOKS_AT_REST && process.memoryUsage.rss() - keptBytes >= WORTH_BYTES) {
      collect();
      keptBytes = process.memoryUsage.rss();
    }
  };
  setInterval(look, lookEveryMs).unref();
}

function usageNow() {
  const { user, system } = process.cpuUsage();
  const loop = performance.eventLoopUtilization();
  return { atMs: performance.now(), cpuMs: (user + system) / 1000, loop };
}
