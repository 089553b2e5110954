import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SessionLimits } from '../../../src/gateway/sessions/session-limits.ts';

let reached: string[];
let limits: SessionLimits;
beforeEach(() => {
  vi.useFakeTimers();
  reached = [];
  limits = new SessionLimits({
    limits: () => ({
      maxTimeSeconds: 7200,
      idleTimeSeconds: 60,
      maxConnections: 1,
      maxRows: undefined,
      lookups: 100,
    }),
    onReached: (reason) => reached.push(reason),
  });
  limits.check();
});
afterEach(() => {
  limits[Symbol.dispose]();
  vi.useRealTimers();
});

test('a session whose statement waits for approval is not idle, and is again when it does not', () => {
  const over = limits.waiting();
  vi.advanceTimersByTime(30 * 60_000);
  expect(reached).toEqual([]);
  over();
  vi.advanceTimersByTime(59_000);
  expect(reached).toEqual([]);
  vi.advanceTimersByTime(2000);
  expect(reached).toEqual(['idle']);
});

test('a session on which something runs is not idle, and is after idleTime of rest', () => {
  let isRunning = true;
  limits.watchWork(() => false);
  limits.watchWork(() => isRunning);
  vi.advanceTimersByTime(30 * 60_000);
  expect(reached).toEqual([]);
  isRunning = false;
  limits.active();
  vi.advanceTimersByTime(59_000);
  expect(reached).toEqual([]);
  vi.advanceTimersByTime(2000);
  expect(reached).toEqual(['idle']);
});

test('what runs does not lengthen the maximum time', () => {
  limits.watchWork(() => true);
  vi.advanceTimersByTime(7200_000);
  expect(reached).toEqual(['expired']);
});

test('a stream that has ended keeps no session alive', () => {
  const unwatch = limits.watchWork(() => true);
  unwatch();
  vi.advanceTimersByTime(60_000);
  expect(reached).toEqual(['idle']);
});

test('a byte a second, from either side, keeps a session alive', () => {
  for (let second = 0; second < 600; second += 1) {
    limits.active();
    vi.advanceTimersByTime(1000);
  }
  expect(reached).toEqual([]);
});
