import { expect, test } from 'vitest';
import { SearchQueue } from '../../../src/gateway/search/search-thread.ts';

const never = new AbortController().signal;

/** Searches that end when they are told to. */
class Searches {
  readonly queue = new SearchQueue();
  readonly begun: string[] = [];
  readonly #ends = new Map<string, () => void>();

  start(name: string, who: string, signal: AbortSignal = never): Promise<string> {
    const work = async (): Promise<string> => {
      this.begun.push(name);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#ends.set(name, resolve);
      await promise;
      return name;
    };
    return this.queue.inTurn(who, work, signal);
  }

  end(name: string): void {
    this.#ends.get(name)?.();
  }
}

test('one goes after the other, in the order in which they came', async () => {
  const searches = new Searches();
  const first = searches.start('first', 'ann');
  const second = searches.start('second', 'bob');
  const third = searches.start('third', 'ann');
  await Promise.resolve();
  expect(searches.begun).toEqual(['first']);
  searches.end('first');
  await first;
  await expect.poll(() => searches.begun).toEqual(['first', 'second']);
  searches.end('second');
  await second;
  await expect.poll(() => searches.begun).toEqual(['first', 'second', 'third']);
  searches.end('third');
  expect(await third).toBe('third');
});

test('one that failed does not hold up the next', async () => {
  const { queue } = new Searches();
  await expect(queue.inTurn('ann', () => Promise.reject(new Error('no')), never)).rejects.toThrow(
    'no',
  );
  expect(await queue.inTurn('ann', async () => 'yes', never)).toBe('yes');
});

test('nobody has more than three, and others have a place all the same', async () => {
  const searches = new Searches();
  const of = ['a', 'b', 'c'].map((name) => searches.start(name, 'ann'));
  await expect(searches.start('d', 'ann')).rejects.toMatchObject({
    code: 'HOOP_LIMIT',
    message: 'you already have 3 active searches',
  });
  const other = searches.start('other', 'bob');
  for (const [index, name] of ['a', 'b', 'c', 'other'].entries()) {
    await expect.poll(() => searches.begun.length).toBe(index + 1);
    searches.end(name);
  }
  expect(await Promise.all([...of, other])).toEqual(['a', 'b', 'c', 'other']);
  const again = searches.start('again', 'ann');
  await expect.poll(() => searches.begun.at(-1)).toBe('again');
  searches.end('again');
  await again;
});

test('sixteen at once are as many as there are', async () => {
  const searches = new Searches();
  const all = Array.from({ length: 16 }, (_, index) => searches.start(`${index}`, `who ${index}`));
  await expect(searches.start('more', 'more')).rejects.toMatchObject({ code: 'HOOP_LIMIT' });
  for (let index = 0; index < 16; index += 1) {
    await expect.poll(() => searches.begun.length).toBe(index + 1);
    searches.end(`${index}`);
  }
  await Promise.all(all);
});

test('who leaves gives the place up at once, and the others move up', async () => {
  const searches = new Searches();
  const first = searches.start('first', 'ann');
  const left = new AbortController();
  const gone = [1, 2].map((index) => searches.start(`gone ${index}`, 'ann', left.signal));
  await expect(searches.start('refused', 'ann')).rejects.toMatchObject({ code: 'HOOP_LIMIT' });
  left.abort(new Error('left'));
  for (const one of gone) {
    await expect(one).rejects.toThrow('left');
  }
  const next = searches.start('next', 'ann');
  searches.end('first');
  await first;
  await expect.poll(() => searches.begun).toEqual(['first', 'next']);
  searches.end('next');
  expect(await next).toBe('next');
});
