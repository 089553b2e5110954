import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { doneOrAborted, onAbort, untilAborted, withinTime } from '../src/until.ts';

const never = new Promise<never>(() => undefined);
const listenersOf = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

describe('onAbort', () => {
  test('is called once when the signal aborts', () => {
    const controller = new AbortController();
    let calls = 0;
    {
      using _ = onAbort(controller.signal, () => {
        calls += 1;
      });
      expect(calls).toBe(0);
      controller.abort();
    }
    expect(calls).toBe(1);
  });

  test('is called at once for a signal that was aborted before', () => {
    let calls = 0;
    using _ = onAbort(AbortSignal.abort(), () => {
      calls += 1;
    });
    expect(calls).toBe(1);
  });

  test('is not called, and leaves no listener, once it is disposed of', () => {
    const controller = new AbortController();
    let calls = 0;
    {
      using _ = onAbort(controller.signal, () => {
        calls += 1;
      });
    }
    expect(listenersOf(controller.signal)).toBe(0);
    controller.abort();
    expect(calls).toBe(0);
  });
});

describe('untilAborted', () => {
  test('gives what the promise gives, and leaves no listener', async () => {
    const { signal } = new AbortController();
    await expect(untilAborted(Promise.resolve(7), signal)).resolves.toBe(7);
    await expect(untilAborted(Promise.reject(new Error('no')), signal)).rejects.toThrow('no');
    expect(listenersOf(signal)).toBe(0);
  });

  test('throws the reason of the signal, or what is given in its place', async () => {
    const controller = new AbortController();
    const first = untilAborted(never, controller.signal);
    const second = untilAborted(never, controller.signal, () => new Error('the session is over'));
    controller.abort(new Error('stop'));
    await expect(first).rejects.toThrow('stop');
    await expect(second).rejects.toThrow('the session is over');
  });

  test('a signal that was aborted before wins over a promise that is settled', async () => {
    const signal = AbortSignal.abort(new Error('stop'));
    await expect(untilAborted(Promise.resolve(7), signal)).rejects.toThrow('stop');
  });
});

test('doneOrAborted resolves with either', async () => {
  const controller = new AbortController();
  await doneOrAborted(Promise.resolve(), controller.signal);
  expect(listenersOf(controller.signal)).toBe(0);
  const waiting = doneOrAborted(never, controller.signal);
  controller.abort();
  await waiting;
});

test('withinTime tells a promise that came from one that is late or failed', async () => {
  await expect(withinTime(Promise.resolve(), 60_000)).resolves.toBe(true);
  await expect(withinTime(never, 1)).resolves.toBe(false);
  await expect(withinTime(Promise.reject(new Error('no')), 60_000)).resolves.toBe(false);
});
