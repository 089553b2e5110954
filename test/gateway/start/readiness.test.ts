import { expect, test } from 'vitest';
import { Readiness } from '../../../src/gateway/start/readiness.ts';
import { collectLog } from '../collect-log.ts';

test('however often readiness is asked for, the disk is written to once a second', async () => {
  let now = 1_000_000;
  let writes = 0;
  let isFull = false;
  const { log, events } = collectLog();
  const readiness = new Readiness({
    hasPolicy: () => true,
    hasRoom: () => true,
    isTakenOver: () => false,
    checkWritable: async () => {
      writes += 1;
      if (isFull) {
        throw new Error('database or disk is full');
      }
    },
    log,
    clock: () => now,
  });
  for (let i = 0; i < 100; i += 1) {
    expect(await readiness.reasons()).toEqual([]);
  }
  expect(writes).toBe(1);
  isFull = true;
  now += 1000;
  expect(await readiness.reasons()).toEqual(['the index cannot be written']);
  expect(await readiness.reasons()).toEqual(['the index cannot be written']);
  expect(writes).toBe(2);
  expect(events.map(({ event }) => event)).toEqual(['index.not_writable']);
  isFull = false;
  // A clock that was set back must not freeze what was found.
  now -= 3_600_000;
  expect(await readiness.reasons()).toEqual([]);
});
