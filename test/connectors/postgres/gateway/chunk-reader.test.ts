import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { ChunkReader } from '../../../../src/connectors/postgres/gateway/wire/chunk-reader.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('chunks are given out one by one, and undefined when there are no more', async () => {
  const stream = new PassThrough();
  const reader = new ChunkReader(stream);
  stream.write('one');
  expect(String(await reader.next())).toBe('one');
  const next = reader.next();
  stream.end('two');
  expect(String(await next)).toBe('two');
  expect(await reader.next()).toBeUndefined();
});

test('what comes while a statement waits is kept in few pieces, in order, up to a bound', async () => {
  const stream = new PassThrough();
  const reader = new ChunkReader(stream);
  let ends = 0;
  let sent = '';
  {
    using _watch = reader.watch(10_000, () => {
      ends += 1;
    });
    for (let at = 0; at < 8000; at += 1) {
      const letter = String.fromCharCode(97 + (at % 26));
      sent += letter;
      stream.write(letter);
      if (at % 50 === 0) {
        await turn();
      }
    }
    await turn();
  }
  stream.end();
  let read = '';
  let pieces = 0;
  for (let chunk = await reader.next(); chunk !== undefined; chunk = await reader.next()) {
    read += Buffer.from(chunk).toString();
    pieces += 1;
  }
  expect(read).toBe(sent);
  expect(pieces).toBeLessThan(100);
  expect(ends).toBe(0);
});

test('what is kept counts against the bound of the next wait', async () => {
  const stream = new PassThrough();
  const reader = new ChunkReader(stream);
  const first = reader.watch(100, () => undefined);
  stream.write(Buffer.alloc(90));
  await turn();
  first[Symbol.dispose]();
  using _second = reader.watch(100, () => undefined);
  stream.write(Buffer.alloc(10));
  await turn();
  expect(stream.isPaused()).toBe(true);
});
