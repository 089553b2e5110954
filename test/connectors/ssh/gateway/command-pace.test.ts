import { expect, test } from 'vitest';
import { CommandPace } from '../../../../src/connectors/ssh/gateway/client-frames.ts';

test('five hundred small commands at once wait for nothing', () => {
  const pace = new CommandPace(0);
  const waits = Array.from({ length: 500 }, () => pace.read(250, 0));
  expect(Math.max(...waits)).toBe(0);
});

test('forty commands in a second, for ever, wait for nothing', () => {
  const pace = new CommandPace(0);
  const waits = Array.from({ length: 10_000 }, (_, count) => pace.read(500, count * 25));
  expect(Math.max(...waits)).toBe(0);
});

test('who sends long ones on and on is read at 32 KiB a second', () => {
  const pace = new CommandPace(0);
  let nowMs = 0;
  let bytes = 0;
  while (nowMs < 1_000_000) {
    nowMs += pace.read(65_536, nowMs);
    bytes += 65_536;
  }
  expect(bytes / (nowMs / 1000)).toBeLessThan(33 * 1024);
  expect(pace.read(100, nowMs + 60_000)).toBe(0);
});
