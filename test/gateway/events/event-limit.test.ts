import { expect, test } from 'vitest';
import { EventLimit } from '../../../src/gateway/events/event-limit.ts';

const START_MS = Date.UTC(2026, 9, 1);

function opened() {
  const clock = { nowMs: START_MS };
  const limit = new EventLimit<number>(() => clock.nowMs);
  const taken = (count: number, scope = 'a', kind = 'x') =>
    Array.from({ length: count }, (_, index) => limit.take(scope, kind, index)).filter(Boolean)
      .length;
  return { clock, limit, taken };
}

test('twenty at once are told, the others are counted, and none is in both', () => {
  const { limit, taken } = opened();
  expect(taken(10_000)).toBe(20);
  expect(limit.isCounting).toBe(true);
  const [counted, ...others] = limit.due();
  expect(counted).toEqual({
    ...{ scope: 'a', kind: 'x', event: 20, count: 9980, sinceMs: START_MS, isMixed: false },
  });
  expect(others).toEqual([]);
  expect(limit.isCounting).toBe(false);
  expect(limit.rest()).toEqual([]);
});

test('one more is told every three seconds, and counts every five', () => {
  const { clock, limit, taken } = opened();
  let told = taken(21);
  let counted = limit.due().reduce((sum, { count }) => sum + count, 0);
  let sums = 1;
  const all = 21 + 600 * 100;
  for (let tenth = 0; tenth < 600; tenth += 1) {
    clock.nowMs += 100;
    told += taken(100);
    const due = limit.due();
    sums += due.length;
    counted += due.reduce((sum, { count }) => sum + count, 0);
  }
  counted += limit.rest().reduce((sum, { count }) => sum + count, 0);
  expect(told + counted).toBe(all);
  // Of a minute.
  expect(told).toBeLessThanOrEqual(20 + 20);
  expect(sums).toBeLessThanOrEqual(1 + 12);
});

test('another who does the same has a limit of their own', () => {
  const { taken } = opened();
  expect(taken(100, 'a')).toBe(20);
  expect(taken(100, 'b')).toBe(20);
});

test('kinds are counted apart, beyond eight together', () => {
  const { limit, taken } = opened();
  taken(20);
  for (let kind = 0; kind < 30; kind += 1) taken(3, 'a', `kind ${kind}`);
  const counted = limit.rest('a');
  expect(counted).toHaveLength(9);
  expect(counted.filter(({ isMixed }) => isMixed)).toMatchObject([{ count: 22 * 3 }]);
  expect(counted.reduce((sum, { count }) => sum + count, 0)).toBe(90);
});

test('however many there are, the limits of what is told hold for all of them', () => {
  const { clock, limit } = opened();
  let told = 0;
  for (let scope = 0; scope < 20_000; scope += 1)
    told += limit.take(`${scope}`, 'x', scope) ? 1 : 0;
  // One for each that has a place, and those of all others.
  expect(told).toBe(5000 + 20);
  expect(limit.rest().reduce((sum, { count }) => sum + count, 0)).toBe(20_000 - told);
  clock.nowMs += 60_000;
  // Those that are quiet make room.
  expect(limit.take('new', 'x', 1)).toBe(true);
});

test('counts are told also when the clock was set back', () => {
  const { clock, limit, taken } = opened();
  taken(30);
  expect(limit.due()).toHaveLength(1);
  clock.nowMs -= 3_600_000;
  taken(30);
  expect(limit.due().length + limit.rest().length).toBeLessThanOrEqual(1);
});
