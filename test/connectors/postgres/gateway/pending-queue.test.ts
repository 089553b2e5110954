import { afterEach, expect, test, vi } from 'vitest';
import {
  type Entry,
  PendingQueue,
} from '../../../../src/connectors/postgres/gateway/statements/pending-queue.ts';
import { StatementMemory } from '../../../../src/connectors/postgres/gateway/statements/statement-memory.ts';
import { unknownStatement } from '../../../../src/connectors/postgres/gateway/statements/statement-text.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

function filled(pairs: number): PendingQueue {
  const queue = new PendingQueue(new AbortController().signal, new StatementMemory().account({}));
  for (let segment = 0; segment < pairs; segment++) {
    const both = { origin: 'client', segment } as const;
    queue.push({ ...both, kind: 'describe', statement: undefined, portal: undefined });
    queue.push({ ...both, kind: 'sync' });
  }
  return queue;
}

/** Entries that are copied while `work` is done. */
function copied(work: () => void): number {
  const slice = vi.spyOn(Array.prototype, 'slice');
  work();
  const results = slice.mock.results.map(({ value }) => value as unknown[]);
  slice.mockRestore();
  return results.reduce((sum, { length }) => sum + length, 0);
}

test('an error costs what is skipped by it, however much is behind', () => {
  const queue = filled(20_000);
  const kinds: (string | undefined)[] = [];
  const entries = copied(() => {
    for (let answer = 0; answer < 20_000; answer++) {
      const { skipped, foundSync } = queue.skipToSync();
      if (skipped.length !== 1 || !foundSync) kinds.push(queue.head?.kind);
      queue.shift();
    }
  });
  expect(kinds).toEqual([]);
  expect(queue.length).toBe(0);
  expect(entries).toBeLessThan(80_000);
});

test('to look for one, and to take one out, copies none', () => {
  const queue = filled(1000);
  queue.shift();
  const found: (Entry | undefined)[] = [];
  const entries = copied(() => {
    found.push(queue.find(({ segment }) => segment === 500));
    const [one] = found;
    if (one !== undefined) queue.remove(one);
    found.push(queue.find(({ segment }) => segment === 500));
  });
  expect(found.map((entry) => entry?.kind)).toEqual(['describe', 'sync']);
  expect(queue.length).toBe(1998);
  expect(entries).toBe(0);
});

test('without a Sync everything is skipped, and what comes then is the first', () => {
  const queue = filled(100);
  for (let answer = 0; answer < 199; answer++) queue.shift();
  queue.push({ origin: 'client', segment: 200, kind: 'function-call' });
  queue.shift();
  expect(queue.skipToSync()).toMatchObject({ skipped: [{ segment: 200 }], foundSync: false });
  expect([queue.length, queue.head]).toEqual([0, undefined]);
  queue.push({ origin: 'client', segment: 201, kind: 'sync' });
  expect(queue.head?.segment).toBe(201);
});

test('what is kept of statements fills it as their number does, until they are answered', () => {
  const account = new StatementMemory().account({});
  const queue = new PendingQueue(new AbortController().signal, account);
  const text = ' '.repeat(1024 * 1024);
  const statement = { ...unknownStatement(''), text };
  const base = { origin: 'client', kind: 'parse', name: '' } as const;
  const fill = (segment: number): number => {
    let count = 0;
    for (; !queue.isFull; count += 1) {
      queue.push({ ...base, segment, statement: { ...statement } });
    }
    return count;
  };
  expect(fill(1)).toBe(32);
  queue.shift();
  expect(fill(2)).toBe(1);
  queue.skipToSync();
  expect(fill(3)).toBe(32);
  expect(account.makeRoom('', [], false)).toBeUndefined();
});
