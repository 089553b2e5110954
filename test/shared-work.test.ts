import { expect, test } from 'vitest';
import { SharedWork } from '../src/shared-work.ts';

const never = new AbortController().signal;

/** Work that ends when the test says so. */
function openWork() {
  const begun: { signal: AbortSignal; end: PromiseWithResolvers<string> }[] = [];
  const begin = (signal: AbortSignal): Promise<string> => {
    const end = Promise.withResolvers<string>();
    begun.push({ signal, end });
    return end.promise;
  };
  return { begun, begin };
}

test('all who come while it is under way wait for one work', async () => {
  const work = new SharedWork<string>();
  const { begun, begin } = openWork();
  const both = [work.join(never, begin), work.join(never, begin)];
  begun[0]?.end.resolve('done');
  expect(await Promise.all(both)).toEqual(['done', 'done']);
  expect(begun).toHaveLength(1);
  const next = work.join(never, begin);
  begun[1]?.end.resolve('again');
  expect(await next).toBe('again');
});

test('who began it and gives up leaves it to the others', async () => {
  const work = new SharedWork<string>();
  const { begun, begin } = openWork();
  const first = new AbortController();
  const gone = work.join(first.signal, begin);
  const stays = work.join(never, begin);
  first.abort(new Error('gave up'));
  await expect(gone).rejects.toThrow('gave up');
  expect(begun[0]?.signal.aborted).toBe(false);
  begun[0]?.end.resolve('done');
  expect(await stays).toBe('done');
});

test('the last one who gives up stops it, and who comes next begins anew', async () => {
  const work = new SharedWork<string>();
  const { begun, begin } = openWork();
  const [first, second] = [new AbortController(), new AbortController()];
  const gone = [work.join(first.signal, begin), work.join(second.signal, begin)];
  first.abort(new Error('one'));
  second.abort(new Error('two'));
  const reasons = (await Promise.allSettled(gone)).map((one) => 'reason' in one && one.reason);
  expect(reasons).toEqual([new Error('one'), new Error('two')]);
  expect(begun[0]?.signal.reason).toEqual(new Error('two'));
  const next = work.join(never, begin);
  // What was stopped ends late: it takes nothing from what came after it.
  begun[0]?.end.reject(begun[0].signal.reason);
  const joined = work.join(never, begin);
  begun[1]?.end.resolve('done');
  expect([await next, await joined]).toEqual(['done', 'done']);
  expect(begun).toHaveLength(2);
});

test('who has given up before begins nothing', async () => {
  const work = new SharedWork<string>();
  const { begun, begin } = openWork();
  await expect(work.join(AbortSignal.abort(new Error('over')), begin)).rejects.toThrow('over');
  expect(begun).toEqual([]);
});

test('a failure is told to all, and not kept', async () => {
  const work = new SharedWork<string>();
  const { begun, begin } = openWork();
  const both = [work.join(never, begin), work.join(never, begin)];
  begun[0]?.end.reject(new Error('no'));
  const results = await Promise.allSettled(both);
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  const next = work.join(never, begin);
  begun[1]?.end.resolve('done');
  expect(await next).toBe('done');
});
