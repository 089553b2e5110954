/** What moves by itself on a screen. */
import { onAbort } from '../until.ts';

/** @param step gets the milliseconds since the last one */
export function everyTick(
  signal: AbortSignal,
  everyMs: number,
  step: (elapsedMs: number) => void,
): void {
  let before = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    step(now - before);
    before = now;
  }, everyMs);
  onAbort(signal, () => clearInterval(timer));
}
