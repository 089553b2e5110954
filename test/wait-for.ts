import { vi } from 'vitest';

/**
 * Until it no longer throws: `expect.poll` for hooks and for values. As in vitest.config.ts, the limit
 * only ends what hangs; vitest's own second would be an assertion on time.
 */
export function waitFor<T>(check: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(check, { timeout: 120_000, interval: 200 });
}
