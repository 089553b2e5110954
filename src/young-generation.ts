/**
 * Keeps V8's young generation from growing as large as it may, 128 MB where there is much memory.
 *
 * It doubles whenever much survives a collection, which logins and many connections make happen, and
 * is filled to the brim between two collections whatever its size. When it shrinks, V8 keeps the
 * pages for later; only collections that also drop optimized code would give them back
 * (tune-collector.ts). So what it once was is what the process holds. The flag that limits it counts when
 * V8 starts, before anything of ours runs; how much it grows by is looked up each time.
 */
import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { isV8Before14 } from './known-v8.ts';

/** Both halves. Measured: docs/design/0040-performance.md. */
const ENOUGH_BYTES = 32 * 1024 * 1024;
/** V8's own. */
const GROWTH_FACTOR = 2;

let isLimited = false;

/** From now on. V8 14 grows it in small steps, whatever the factor, and to 64 MB at most. */
export function limitYoungGeneration(): void {
  if (isLimited || !isV8Before14) {
    return;
  }
  isLimited = true;
  let mayGrow = true;
  const look = (): void => {
    const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
    const isSmall = (space?.space_size ?? 0) < ENOUGH_BYTES;
    if (isSmall !== mayGrow) {
      mayGrow = isSmall;
      setFlagsFromString(`--semi-space-growth-factor=${mayGrow ? GROWTH_FACTOR : 1}`);
    }
  };
  // It grows by collections only.
  new PerformanceObserver(look).observe({ entryTypes: ['gc'] });
}
