import { afterEach, expect, test } from 'vitest';
import { LimitedThread } from '../src/limited-thread.ts';

/** Gives back what it is given. */
const ECHO = `data:text/javascript,${encodeURIComponent(`
  import { parentPort } from 'node:worker_threads';
  parentPort.on('message', ({ id, task }) => parentPort.postMessage({ id, answer: task }));
`)}`;
const SHARED = {};

let thread: LimitedThread<object, unknown, unknown>;

afterEach(() => thread[Symbol.asyncDispose]());

function opened(): LimitedThread<object, unknown, unknown> {
  thread = new LimitedThread({
    ...{ file: new URL(ECHO), name: 'echo', limitMs: 10_000, heapMb: 64, stackMb: 4 },
    maxWaiting: 8,
  });
  return thread;
}

test('work that cannot be sent over is not done, and the work behind it is', async () => {
  const echo = opened();
  const answers = [1, () => 2, 3].map((task) => echo.run({}, { shared: SHARED, task }));
  expect(await Promise.all(answers)).toEqual([1, undefined, 3]);
});

test('memory that was handed over already is a failure of that work only', async () => {
  const echo = opened();
  await echo.run({}, { shared: SHARED, task: 'the first one' });
  const { buffer } = new Uint8Array(8);
  const work = { shared: SHARED, task: buffer, transfer: [buffer] };
  expect(await echo.run({}, work)).toBeInstanceOf(ArrayBuffer);
  expect(await echo.run({}, work)).toBeUndefined();
  expect(await echo.run({}, { shared: SHARED, task: 'next' })).toBe('next');
});
