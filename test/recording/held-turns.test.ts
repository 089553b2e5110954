import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { HeldTurns } from '../../src/recording/write/held-turns.ts';

function open() {
  const known = Promise.withResolvers<void>();
  const lease = { isHeld: true, whenHeld: () => known.promise };
  const written: string[] = [];
  const over = new AbortController();
  const turns = {
    write: () => void written.push('write'),
    whenWritten: (forward: () => void) => queueMicrotask(forward),
  };
  return { known, lease, written, held: new HeldTurns(turns, lease, over.signal) };
}

test('while the lease holds everything goes on, and nobody waits', async () => {
  const { held, written } = open();
  expect(held.whenHeld()).toBeUndefined();
  held.write();
  held.whenWritten(() => written.push('forwarded'));
  await nextTurn();
  expect(written).toEqual(['write', 'forwarded']);
});

test('beyond it nothing goes on before it is renewed, in the order in which it came', async () => {
  const { known, lease, held, written } = open();
  held.whenWritten(() => written.push('first'));
  held.whenWritten(() => written.push('second'));
  // After they were asked for, before they go on: the process stood still in between.
  lease.isHeld = false;
  await nextTurn();
  expect(written).toEqual([]);
  // Who cannot wait does not go on either.
  expect(() => held.write()).toThrow('may have been taken over');
  lease.isHeld = true;
  known.resolve();
  await held.whenHeld();
  await nextTurn();
  expect(written).toEqual(['first', 'second']);
});

test('what waits for a lease that is lost never goes on', async () => {
  const { known, lease, held, written } = open();
  lease.isHeld = false;
  held.whenWritten(() => written.push('forwarded'));
  const waiting = held.whenHeld();
  known.reject(new Error('taken over'));
  await expect(waiting).rejects.toThrow('taken over');
  await nextTurn();
  expect(written).toEqual([]);
});
