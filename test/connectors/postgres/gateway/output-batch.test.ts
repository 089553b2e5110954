import { PassThrough } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { OutputBatch } from '../../../../src/connectors/postgres/gateway/wire/output-batch.ts';
import { HeldTurns } from '../../../../src/recording/write/held-turns.ts';
import { readAll } from '../../../read-all.ts';

function open() {
  const known = Promise.withResolvers<void>();
  const lease = { isHeld: true, whenHeld: () => known.promise };
  const turns = {
    write: () => undefined,
    whenWritten: (forward: () => void) => void setImmediate(forward),
  };
  const { signal } = new AbortController();
  const sink = new PassThrough();
  const batch = new OutputBatch(sink, signal, new HeldTurns(turns, lease, signal));
  return { known, lease, sink, batch };
}

test('two lots of one turn go out together, and nobody waits', async () => {
  const { sink, batch } = open();
  batch.push(Buffer.from('first '));
  expect(batch.flushSoon()).toBeUndefined();
  batch.push(Buffer.from('second'));
  expect(batch.flushSoon()).toBeUndefined();
  await nextTurn();
  expect(String(readAll(sink))).toBe('first second');
});

test('no more is read behind a lot that waits for the lease', async () => {
  const { known, lease, sink, batch } = open();
  lease.isHeld = false;
  batch.push(Buffer.from('first '));
  expect(batch.flushSoon()).toBeUndefined();
  await nextTurn();
  batch.push(Buffer.from('second'));
  const waiting = batch.flushSoon();
  expect(waiting).toBeInstanceOf(Promise);
  await nextTurn();
  expect(sink.read()).toBeNull();
  lease.isHeld = true;
  known.resolve();
  await waiting;
  await nextTurn();
  expect(String(readAll(sink))).toBe('first second');
});

test('who waits for a lease that is lost is told', async () => {
  const { known, lease, sink, batch } = open();
  lease.isHeld = false;
  batch.push(Buffer.from('first '));
  expect(batch.flushSoon()).toBeUndefined();
  batch.push(Buffer.from('second'));
  const waiting = batch.flushSoon();
  known.reject(new Error('taken over'));
  await expect(waiting).rejects.toThrow('taken over');
  expect(sink.read()).toBeNull();
});
