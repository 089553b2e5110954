import { expect, test } from 'vitest';
import { playSchedules } from '../schedules.ts';

test('whatever arrives when, breaks or goes: the gateway never waits for what no cut will cover', async () => {
  const seeds = Array.from({ length: 8 }, (_, at) => at + 1);
  expect(await playSchedules(seeds, 3)).toBe(24);
}, 120_000);
