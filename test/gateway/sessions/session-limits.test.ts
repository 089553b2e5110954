import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SessionLimits } from '../../../src/gateway/sessions/session-limits.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('a session whose statement waits for approval is not idle, and is again when it does not', () => {
  const reached: string[] = [];
  using limits = new SessionLimits({
    limits: () => ({
      maxTimeSeconds: 3600,
      idleTimeSeconds: 60,
      maxConnections: 1,
      maxRows: undefined,
      lookups: 100,
    }),
    onReached: (reason) => reached.push(reason),
  });
  limits.check();
  const over = limits.waiting();
  vi.advanceTimersByTime(30 * 60_000);
  expect(reached).toEqual([]);
  over();
  vi.advanceTimersByTime(59_000);
  expect(reached).toEqual([]);
  vi.advanceTimersByTime(2000);
  expect(reached).toEqual(['idle']);
});
